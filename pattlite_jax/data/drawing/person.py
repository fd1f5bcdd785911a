"""Who is drawn: what of a face does not change with its expression."""

import dataclasses

import numpy as np

HAIRSTYLES = ("short", "long", "fringe", "bald")


@dataclasses.dataclass(frozen=True)
class Person:
  """Who is drawn. Lengths in face units, levels in grey 0..255."""

  width: float = 0.78  # Half width of the head.
  jaw: float = 0.2  # 0: as wide as the temples, 0.4: pointed.
  eye_spacing: float = 0.33  # From the nose to an eye's middle.
  eye_size: float = 0.17  # Half width of an eye.
  eye_height: float = 0.075  # Half height of an eye at rest.
  brow_y: float = -0.33
  brow_thickness: float = 0.055
  nose_y: float = 0.24
  nose_width: float = 0.13
  mouth_y: float = 0.53
  mouth_width: float = 0.29  # Half width.
  lip_fullness: float = 1.0
  age: float = 0.2  # 0: no lines at rest, 1: deep lines.
  skin: float = 170.0
  hair: float = 50.0
  hairstyle: str = "short"  # One of HAIRSTYLES.
  parting: float = 0.0  # Where the hairline is highest.
  beard: float = 0.0  # 0: shaved, 1: full, as dark as the hair.
  glasses: bool = False


def sample_person(rng: np.random.Generator) -> Person:
  """Draws a person at random."""
  skin = rng.uniform(95, 215)
  grey_haired = rng.random() < 0.15
  return Person(
    width=rng.uniform(0.70, 0.86),
    jaw=rng.uniform(0.08, 0.36),
    eye_spacing=rng.uniform(0.29, 0.36),
    eye_size=rng.uniform(0.145, 0.185),
    eye_height=rng.uniform(0.055, 0.085),
    brow_y=rng.uniform(-0.37, -0.30),
    brow_thickness=rng.uniform(0.03, 0.08),
    nose_y=rng.uniform(0.20, 0.28),
    nose_width=rng.uniform(0.10, 0.16),
    mouth_y=rng.uniform(0.50, 0.57),
    mouth_width=rng.uniform(0.25, 0.33),
    lip_fullness=rng.uniform(0.6, 1.4),
    age=rng.uniform(0.0, 1.0) ** 2,
    skin=skin,
    hair=rng.uniform(130, 220) if grey_haired else rng.uniform(15, 0.55 * skin),
    hairstyle=str(rng.choice(HAIRSTYLES, p=(0.4, 0.3, 0.2, 0.1))),
    parting=rng.uniform(-0.45, 0.45),
    beard=rng.uniform(0.3, 0.9) if rng.random() < 0.1 else 0.0,
    glasses=bool(rng.random() < 0.15),
  )
