"""Where the parts of a drawn face lie, given the person and the muscles.

Face coordinates: x to the picture's right and y down from the middle of the
head, whose half height is 1. Each part is a curve of [x, y] points.
"""

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

from pattlite_jax.data.drawing.actions import ActionUnits
from pattlite_jax.data.drawing.person import Person

_T = np.linspace(-1.0, 1.0, 13)
_BULGE = 1 - _T**2
_CUPIDS_BOW = 1 - 0.3 * np.exp(-((_T / 0.16) ** 2))

Curves = dict[str, Float[np.ndarray, "_ 2"]]


def landmarks(person: Person, actions: ActionUnits) -> Curves:
  """Returns the curves of the parts; left is the picture's left.

  Per side (left_brow, right_brow, ...): brow, upper_lid, lower_lid, under_eye,
  nasolabial, the nose's wing and ridge, crow_0 and crow_1 (crow's feet), frown
  and wrinkle. Once: mouth_upper and mouth_lower (the opening), lip_upper and
  lip_lower (the lips' outer edges), teeth (their lower edge), nose_base,
  forehead_0, forehead_1 and chin.
  """
  curves = {}
  right = _eye(person, actions) | _cheek(person, actions)
  for name, curve in right.items():
    curves[f"right_{name}"] = curve
    curves[f"left_{name}"] = curve * (-1.0, 1.0)
  return curves | _mouth(person, actions) | _middle(person, actions)


def _curve(x: npt.ArrayLike, y: npt.ArrayLike) -> Float[np.ndarray, "P 2"]:
  return np.stack(np.broadcast_arrays(x, y), axis=-1).astype(float)


def _eye(person: Person, a: ActionUnits) -> Curves:
  slant = max(0.0, a.inner_brow_raise - a.outer_brow_raise)
  lower = a.brow_lower * (1 - 0.75 * min(1.0, a.inner_brow_raise))
  lower += 0.35 * a.nose_wrinkle
  x = person.eye_spacing
  brow_x = [x - 0.20 - 0.04 * a.brow_lower, x - 0.08, x + 0.07, x + 0.21]
  brow_y = person.brow_y + np.array(
    [
      0.03 - 0.17 * a.inner_brow_raise + 0.15 * lower,
      -0.03 - 0.15 * a.inner_brow_raise + 0.09 * lower,
      -0.04 - 0.14 * a.outer_brow_raise + 0.02 * lower + 0.03 * slant,
      0.04 - 0.08 * a.outer_brow_raise - 0.03 * lower + 0.07 * slant,
    ]
  )
  y = -0.1
  shut = 0.45 * a.lid_tighten + 0.3 * a.cheek_raise
  rise = 1.15 + 0.85 * a.upper_lid_raise - 0.5 * shut - 0.75 * a.lid_droop
  drop = 0.85 + 0.2 * a.upper_lid_raise - shut
  lid_x = x + person.eye_size * _T
  lid_shape = person.eye_height * _BULGE**0.7
  corners = y - 0.015 * _T + 0.02 * slant * _T
  upper = corners - max(0.12, rise) * lid_shape
  lower_lid = corners + max(0.1, drop) * lid_shape
  return {
    "brow": _curve(brow_x, brow_y),
    "upper_lid": _curve(lid_x, upper),
    "lower_lid": _curve(lid_x, np.maximum(lower_lid, upper)),
    "under_eye": _curve(lid_x[2:-1], (lower_lid + 0.05 + 0.03 * _BULGE)[2:-1]),
  }


def _cheek(person: Person, a: ActionUnits) -> Curves:
  x, wing = person.eye_spacing + person.eye_size, person.nose_width
  mouth_x, mouth_y = _mouth_corner(person, a)
  nose_y = person.nose_y - 0.05 * a.nose_wrinkle
  # The fold bows around the mouth's corner, a little away from it.
  bow = np.array([0.03, 0.09, 0.12, 0.11]) + 0.03 * a.lip_corner_pull
  fold_x = np.linspace(wing, mouth_x, 4) + bow
  fold_y = np.linspace(nose_y - 0.03, mouth_y - 0.01, 4)
  frown_x = 0.07 - 0.02 * a.brow_lower
  return {
    "nasolabial": _curve(fold_x, fold_y),
    "wing": _curve(
      wing * np.array([0.55, 1.0, 1.0, 0.6]),
      nose_y + np.array([-0.1, -0.06, 0.02, 0.04]),
    ),
    "crow_0": _curve([x + 0.03, x + 0.13], [-0.12, -0.17]),
    "crow_1": _curve([x + 0.03, x + 0.12], [-0.08, -0.05]),
    "frown": _curve([frown_x, frown_x - 0.01], [-0.40, -0.28]),
    "wrinkle": _curve([0.02, 0.08, 0.13], [-0.06, -0.03, 0.03]),
    "ridge": _curve([0.055, 0.05, 0.07], [-0.2, 0.0, nose_y - 0.06]),
  }


def _mouth_corner(person: Person, a: ActionUnits) -> tuple[float, float]:
  wider = 0.32 * a.lip_corner_pull + 0.3 * a.lip_stretch
  narrower = 0.1 * a.lip_press + 0.32 * a.jaw_drop + 0.08 * a.chin_raise
  x = person.mouth_width * max(0.6, 1 + wider - narrower)
  up = 0.15 * a.lip_corner_pull - 0.06 * a.jaw_drop
  down = 0.12 * a.lip_corner_depress + 0.02 * a.lip_stretch
  return x, person.mouth_y - up + down


def _mouth(person: Person, a: ActionUnits) -> Curves:
  half, corner = _mouth_corner(person, a)
  x = half * _T
  raised = 0.1 * a.upper_lip_raise + 0.04 * a.chin_raise + 0.03 * a.jaw_drop
  upper_y = person.mouth_y - raised + 0.03 * a.lip_corner_pull
  gap = 0.15 * a.lips_part + 0.36 * a.jaw_drop
  gap *= 1 - 0.8 * min(1.0, a.lip_press)
  squareness = a.jaw_drop + 0.6 * a.lip_stretch + 0.5 * a.upper_lip_raise
  power = 1 - 0.5 * min(1.0, squareness)
  upper = corner + (upper_y - corner) * _BULGE**power
  opening = gap * _BULGE**power
  thin = person.lip_fullness * (1 - 0.6 * min(1.0, a.lip_press))
  upper_lip = 0.075 * thin * _BULGE**0.6 * _CUPIDS_BOW
  lower_lip = 0.095 * thin * (1 + 0.25 * a.chin_raise) * _BULGE**0.6
  bite = min(1.0, 0.25 + 1.5 * a.lips_part) * min(1.0, 0.13 / (gap + 1e-6))
  return {
    "mouth_upper": _curve(x, upper),
    "mouth_lower": _curve(x, upper + opening),
    "teeth": _curve(x, upper + bite * opening),
    "lip_upper": _curve(x * 1.05, upper - upper_lip),
    "lip_lower": _curve(x * 1.05, upper + opening + lower_lip),
  }


def _middle(person: Person, a: ActionUnits) -> Curves:
  base = person.nose_y - 0.04 * a.nose_wrinkle
  chin = person.mouth_y + 0.24 + 0.2 * a.jaw_drop - 0.05 * a.chin_raise
  lift = 0.08 * (a.inner_brow_raise + a.outer_brow_raise)
  forehead_x = 0.38 * _T
  bend = 0.03 * _BULGE
  return {
    "nose_base": _curve(
      0.7 * person.nose_width * _T, base + 0.045 - 0.03 * np.cos(5 * _T)
    ),
    "forehead_0": _curve(forehead_x, -0.5 - lift - bend),
    "forehead_1": _curve(forehead_x, -0.6 - lift - bend),
    "chin": _curve(0.14 * _T, chin - 0.05 * _BULGE),
  }


def head_outline(
  person: Person, actions: ActionUnits
) -> Float[np.ndarray, "48 2"]:
  """Returns the silhouette, clockwise from the middle of the chin."""
  angle = np.linspace(0.0, 2 * np.pi, 48, endpoint=False)
  x, y = -np.sin(angle), np.cos(angle)
  below = np.maximum(y, 0.0)
  width = person.width * (1 - person.jaw * below**2)
  # The power squares the ellipse: jaws and temples are fuller than one.
  x = width * np.sign(x) * np.abs(x) ** 0.85
  return _curve(x, y * (1 + 0.14 * actions.jaw_drop * below))
