"""What the muscles of a drawn face do: FACS action units for 7 expressions.

The units and the prototypes follow the Facial Action Coding System (Ekman and
Friesen), reduced to what can be seen at 48x48 pixels.
"""

import dataclasses

import numpy as np

EXPRESSIONS = (  # The names and the order of FER2013.
  "anger",
  "disgust",
  "fear",
  "happiness",
  "sadness",
  "surprise",
  "neutral",
)


@dataclasses.dataclass(frozen=True)
class ActionUnits:
  """How far each muscle acts: 0 at rest, 1 fully, up to about 1.2."""

  inner_brow_raise: float = 0.0  # AU1
  outer_brow_raise: float = 0.0  # AU2
  brow_lower: float = 0.0  # AU4
  upper_lid_raise: float = 0.0  # AU5
  cheek_raise: float = 0.0  # AU6
  lid_tighten: float = 0.0  # AU7
  nose_wrinkle: float = 0.0  # AU9
  upper_lip_raise: float = 0.0  # AU10
  lip_corner_pull: float = 0.0  # AU12
  lip_corner_depress: float = 0.0  # AU15
  chin_raise: float = 0.0  # AU17
  lip_stretch: float = 0.0  # AU20
  lip_press: float = 0.0  # AU23, AU24
  lips_part: float = 0.0  # AU25, teeth show
  jaw_drop: float = 0.0  # AU26, AU27
  lid_droop: float = 0.0  # AU43


# Each expression has a few usual forms, drawn with equal chance.
PROTOTYPES = {
  "anger": (
    ActionUnits(
      brow_lower=1.0, upper_lid_raise=0.5, lid_tighten=0.5, lip_press=1.0
    ),
    ActionUnits(
      brow_lower=1.0,
      upper_lid_raise=0.4,
      lid_tighten=0.5,
      upper_lip_raise=0.3,
      lip_stretch=0.3,
      lips_part=1.0,
      jaw_drop=0.35,
    ),
  ),
  "disgust": (
    ActionUnits(
      brow_lower=0.5,
      cheek_raise=0.4,
      lid_tighten=0.8,
      nose_wrinkle=1.0,
      upper_lip_raise=0.9,
      lip_corner_depress=0.4,
      chin_raise=0.7,
    ),
    ActionUnits(
      brow_lower=0.4,
      cheek_raise=0.5,
      lid_tighten=0.9,
      nose_wrinkle=1.0,
      upper_lip_raise=1.0,
      lip_corner_depress=0.5,
      lips_part=0.8,
    ),
  ),
  "fear": (
    ActionUnits(
      inner_brow_raise=1.0,
      outer_brow_raise=0.3,
      brow_lower=0.5,
      upper_lid_raise=1.0,
      lip_stretch=1.0,
      lips_part=0.7,
      jaw_drop=0.25,
    ),
    ActionUnits(
      inner_brow_raise=1.0,
      outer_brow_raise=0.3,
      brow_lower=0.5,
      upper_lid_raise=0.9,
      lip_stretch=0.8,
      lip_corner_depress=0.3,
      jaw_drop=0.5,
    ),
  ),
  "happiness": (
    ActionUnits(cheek_raise=0.9, lip_corner_pull=1.0, lips_part=1.0),
    ActionUnits(
      cheek_raise=1.0, lip_corner_pull=1.0, lips_part=0.8, jaw_drop=0.4
    ),
    ActionUnits(cheek_raise=0.6, lip_corner_pull=1.0),
  ),
  "sadness": (
    ActionUnits(
      inner_brow_raise=1.0,
      brow_lower=0.4,
      lip_corner_depress=1.0,
      chin_raise=0.8,
      lid_droop=0.3,
    ),
    ActionUnits(
      inner_brow_raise=0.8,
      brow_lower=0.5,
      cheek_raise=0.3,
      lip_corner_depress=0.9,
      lid_droop=0.7,
    ),
  ),
  "surprise": (
    ActionUnits(
      inner_brow_raise=1.0,
      outer_brow_raise=1.0,
      upper_lid_raise=0.9,
      jaw_drop=1.0,
    ),
    ActionUnits(
      inner_brow_raise=0.9,
      outer_brow_raise=1.0,
      upper_lid_raise=0.7,
      jaw_drop=0.6,
    ),
  ),
  "neutral": (ActionUnits(),),
}

_MILDEST = 0.55  # Fainter than this, few people would name the expression.
_CHANCE_OF_REST = 0.04  # A unit of the prototype that does not act.
_CHANCE_OF_STRAY = 0.08  # A unit that acts though the prototype lacks it.


def sample_actions(rng: np.random.Generator, expression: int) -> ActionUnits:
  """Draws a form of an expression (an index), mild to strong, imperfect."""
  forms = PROTOTYPES[EXPRESSIONS[expression]]
  form = np.array(dataclasses.astuple(forms[rng.integers(len(forms))]))
  intensity = rng.uniform(_MILDEST, 1.1)
  units = form * intensity * rng.uniform(0.75, 1.2, form.shape)
  units *= rng.random(form.shape) > _CHANCE_OF_REST
  stray = rng.random(form.shape) < _CHANCE_OF_STRAY
  units += stray * rng.uniform(0.0, 0.3, form.shape)
  return ActionUnits(*units.tolist())
