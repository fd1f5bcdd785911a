"""Draws faces with seven expressions: pictures for trying code, not data.

No photograph is involved. A picture is a person (`landmarks`) whose
muscles act (`actions`), seen in some view (`view`). It is painted at
four times its size from filled polygons alone, which every version of Pillow
fills nearly alike, and then reduced.
"""

import numpy as np
from jaxtyping import Float, UInt8

from pattlite_jax.data.drawing import occluders
from pattlite_jax.data.drawing.actions import ActionUnits, sample_actions
from pattlite_jax.data.drawing.landmarks import head_outline
from pattlite_jax.data.drawing.painter import Painter, relief
from pattlite_jax.data.drawing.person import Person, sample_person
from pattlite_jax.data.drawing.view import View, expose, sample_view


def draw_face(
  rng: np.random.Generator, expression: int
) -> UInt8[np.ndarray, "48 48 1"]:
  """Draws a random person who shows EXPRESSIONS[expression], grey."""
  actions = sample_actions(rng, expression)
  return render(sample_person(rng), actions, sample_view(rng), rng)


def render(
  person: Person, actions: ActionUnits, view: View, rng: np.random.Generator
) -> UInt8[np.ndarray, "48 48 1"]:
  """Draws one picture; `rng` sets noise, gaze and where an occluder lies."""
  painter = Painter(person, actions, view)
  _paint_behind(painter)
  _paint_lines(painter)
  _paint_eyes(painter, gaze=float(rng.normal(0.0, 0.03)))
  _paint_mouth(painter)
  _paint_hair(painter)
  picture = painter.reduced() * relief(actions, view)
  hidden, level = occluders.occlude(person, view, rng)
  picture = picture * (1 - hidden) + level * hidden
  return expose(picture, view, rng)[:, :, None]


def _paint_behind(p: Painter) -> None:
  """Paints long hair, neck, shoulders, ears and the head's shape."""
  person = p.person
  outline = head_outline(person, p.actions)
  neck = np.array([[-0.4, 0.5], [0.4, 0.5], [0.42, 1.6], [-0.42, 1.6]])
  shoulders = np.array([[-0.4, 1.12], [0.4, 1.12], [1.5, 1.5], [-1.5, 1.5]])
  ears = np.array([[-person.width, 0.0], [person.width, 0.0]])
  places = p.place(
    {
      "hair": outline * (1.22, 1.1) + (0.0, 0.05),
      "neck": neck,
      "shoulders": shoulders,
      "ears": ears,
      "head": outline,
    },
    on_skin=False,
  )
  if person.hairstyle == "long":
    p.fill(places["hair"], person.hair)
  p.fill(places["neck"], 0.75 * person.skin)
  p.fill(places["shoulders"], 255 - p.view.background)
  for ear in places["ears"]:
    p.disc(ear, 0.13, 0.85 * person.skin)
  p.fill(places["head"], 0.88 * person.skin)
  centre = places["head"].mean(axis=0)
  p.fill(centre + 0.93 * (places["head"] - centre), person.skin)
  if person.beard:
    _paint_beard(p, places["head"])


def _paint_beard(p: Painter, head: Float[np.ndarray, "48 2"]) -> None:
  level = p.person.skin + p.person.beard * (p.person.hair - p.person.skin)
  jaw = np.concatenate([head[-11:], head[:12]])  # Ear to ear past the chin.
  lip = np.concatenate([p.at["left_wing"][-1:], p.at["right_wing"][-1:]])
  corners = (p.at["lip_upper"][[0, -1]] - lip) * 1.25 + lip
  edge = np.stack([corners[0], lip[0], lip[1], corners[1]])
  # Clockwise the jaw runs from the picture's right to its left.
  p.fill(np.concatenate([jaw, edge]), level)


def _paint_lines(p: Painter) -> None:
  """Paints the skin's folds: darker as the muscles act and with age."""
  a, age = p.actions, p.person.age
  raised = (a.inner_brow_raise + a.outer_brow_raise) / 2
  depth = {
    "forehead_0": 0.2 * age + 0.3 * raised,
    "forehead_1": 0.2 * age + 0.25 * raised,
    "chin": 0.1 + 0.25 * a.chin_raise,
    "nose_base": 0.45,
  }
  per_side = {
    "ridge": 0.1,
    "wing": 0.3,
    "nasolabial": 0.2 * age
    + 0.25 * max(a.lip_corner_pull, a.upper_lip_raise, a.nose_wrinkle),
    "under_eye": 0.2 * age + 0.25 * max(a.cheek_raise, a.lid_tighten),
    "crow_0": 0.2 * age + 0.25 * a.cheek_raise,
    "crow_1": 0.2 * age + 0.25 * a.cheek_raise,
    "frown": 0.1 * age + 0.5 * a.brow_lower,
    "wrinkle": 0.55 * a.nose_wrinkle,
  }
  for side in ("left", "right"):
    depth |= {f"{side}_{name}": value for name, value in per_side.items()}
  for name, value in depth.items():
    if value > 0.05:
      p.stroke(p.at[name], 0.04, p.person.skin * (1 - min(0.6, value)))


def _paint_eyes(p: Painter, *, gaze: float) -> None:
  """Paints eyes, lids and brows; `gaze` in face units to the right."""
  person = p.person
  white = min(250.0, 0.45 * person.skin + 140)
  dark = 0.3 * person.skin
  widths = np.array([[1.0], [1.1], [0.8], [0.35]]) * person.brow_thickness
  for side in ("left", "right"):
    upper, lower = p.at[f"{side}_upper_lid"], p.at[f"{side}_lower_lid"]
    p.fill(np.concatenate([upper, lower[::-1]]), white)
    middle = (upper[[0, -1]].mean(axis=0) + (upper[6] + lower[6]) / 2) / 2
    middle[0] += gaze * p.scale
    p.disc(middle, 0.075, 35.0)
    # Lids of skin hide the part of the iris that lies outside the eye.
    for lid, up in ((upper, 1.0), (lower, -1.0)):
      skin_edge = lid - (0.0, up * 0.11 * p.scale)
      p.fill(np.concatenate([lid, skin_edge[::-1]]), person.skin)
    p.stroke(lower, 0.025, 0.65 * person.skin)
    p.stroke(upper, 0.05, dark)
    p.stroke(p.at[f"{side}_brow"], widths + 0.02, 0.8 * person.hair)


def _paint_mouth(p: Painter) -> None:
  skin = p.person.skin
  upper, lower = p.at["mouth_upper"], p.at["mouth_lower"]
  lips = np.concatenate([p.at["lip_upper"], p.at["lip_lower"][::-1]])
  p.fill(lips, 0.68 * skin)
  p.fill(np.concatenate([upper, lower[::-1]]), 0.2 * skin)
  p.fill(np.concatenate([upper, p.at["teeth"][::-1]]), 0.3 * skin + 165)
  p.stroke(upper, 0.035, 0.3 * skin)


def _paint_hair(p: Painter) -> None:
  """Paints the hair of the crown, and glasses."""
  person = p.person
  outline = head_outline(person, p.actions)
  low = -0.42 if person.hairstyle == "fringe" else -0.66
  x = np.linspace(1.0, -1.0, 9)
  dip = np.abs(x) ** 3 + 0.15 * np.abs(x - person.parting)
  jagged = np.array([0.0, 0.03] * 4 + [0.0])
  line = np.stack([x * person.width, low + dip * (-0.15 - low) + jagged], -1)
  crown = outline[13:36] * 1.1  # Ear to ear past the top.
  if person.hairstyle != "bald":
    above = p.place({"crown": crown}, on_skin=False)["crown"]
    below = p.place({"line": line}, on_skin=False)["line"]
    p.fill(np.concatenate([above, below]), person.hair)
  if person.glasses:
    _paint_glasses(p)


def _paint_glasses(p: Painter) -> None:
  angle = np.linspace(0, 2 * np.pi, 17)
  rim = np.stack([0.25 * np.cos(angle), 0.19 * np.sin(angle)], axis=-1)
  x = p.person.eye_spacing
  bridge = np.array([[0.25 - x, -0.1], [0.0, -0.13], [x - 0.25, -0.1]])
  frames = p.place(
    {"left": rim - (x, 0.08), "right": rim - (-x, 0.08), "bridge": bridge},
    on_skin=True,
  )
  for frame in frames.values():
    p.stroke(frame, 0.045, 40.0)
