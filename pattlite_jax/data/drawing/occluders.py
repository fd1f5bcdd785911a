"""Things that hide a part of a drawn face: a bar, a hand, a scarf, shades."""

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from pattlite_jax.data.drawing.painter import FINER
from pattlite_jax.data.drawing.person import Person
from pattlite_jax.data.drawing.view import SIZE, View, project

# Polygons in face coordinates, back to front, and their grey levels.
Shapes = tuple[list[np.ndarray], list[float]]


def occlude(
  person: Person, view: View, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "48 48"], Float[np.ndarray, "48 48"]]:
  """Returns how much of each pixel is hidden (0..1), and by what grey level."""
  if view.occluder == "none":
    return np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE))
  draw = {"bar": _bar, "hand": _hand, "scarf": _scarf, "shades": _shades}
  polygons, levels = draw[view.occluder](person, rng)
  side = SIZE * FINER
  mask, picture = Image.new("L", (side, side)), Image.new("L", (side, side))
  on_mask, on_picture = ImageDraw.Draw(mask), ImageDraw.Draw(picture)
  for polygon, level in zip(polygons, levels, strict=True):
    corners = project(polygon, view, on_skin=view.occluder == "shades")
    corners = (corners * FINER).ravel().tolist()
    on_mask.polygon(corners, fill=255)
    on_picture.polygon(corners, fill=round(level))
  hidden = np.asarray(mask.reduce(FINER), dtype=float) / 255
  premultiplied = np.asarray(picture.reduce(FINER), dtype=float)
  return hidden, premultiplied / np.maximum(hidden, 1e-3)


def _bar(person: Person, rng: np.random.Generator) -> Shapes:
  angle, reach = rng.uniform(0, np.pi), rng.uniform(-0.7, 0.7)
  along = np.array([np.cos(angle), np.sin(angle)])
  across = along[::-1] * (-1, 1)
  half = rng.uniform(0.08, 0.16)
  middle = reach * across
  ends = [(-3, -half), (3, -half), (3, half), (-3, half)]
  corners = [middle + u * along + v * across for u, v in ends]
  return [np.array(corners)], [rng.uniform(10, 245)]


def _hand(person: Person, rng: np.random.Generator) -> Shapes:
  """Returns four fingers that reach in from a side over a cheek."""
  side = rng.choice([-1.0, 1.0])
  tip_x, top = rng.uniform(-0.05, 0.35), rng.uniform(-0.3, 0.55)
  angle = np.linspace(-np.pi / 2, np.pi / 2, 7)
  polygons, levels = [], []
  for finger in range(4):
    reach = tip_x + (0.0, -0.08, -0.06, 0.06)[finger]
    y = top + 0.17 * finger
    tip = np.stack([reach - 0.08 * np.cos(angle), y + 0.08 * np.sin(angle)], -1)
    whole = np.concatenate([[[2.5, y - 0.08]], tip, [[2.5, y + 0.08]]])
    edge = whole + np.sign(whole - (0, y)) * (0, 0.02)
    polygons += [edge * (side, 1), whole * (side, 1)]
    levels += [0.6 * person.skin, 0.95 * person.skin]
  return polygons, levels


def _scarf(person: Person, rng: np.random.Generator) -> Shapes:
  top = rng.uniform(0.45, 0.75)
  x = np.linspace(-1.3, 1.3, 9)
  edge = np.stack([x, top - 0.12 * x**2 + 0.04 * np.sin(5 * x)], -1)
  level = rng.uniform(20, 235)
  stripes = rng.uniform(0.75, 1.0)
  polygons, levels = [], []
  for row in range(5):
    below = edge - (0.0, -0.2 * row)
    polygons.append(np.concatenate([below, [[1.5, 3.0], [-1.5, 3.0]]]))
    levels.append(level * (stripes if row % 2 else 1.0))
  return polygons, levels


def _shades(person: Person, rng: np.random.Generator) -> Shapes:
  angle = np.linspace(0, 2 * np.pi, 17)
  lens = np.stack([0.27 * np.cos(angle), 0.2 * np.sin(angle)], axis=-1)
  x = person.eye_spacing
  bridge = np.array([[-x, -0.16], [x, -0.16], [x, -0.1], [-x, -0.1]])
  level = rng.uniform(10, 60)
  return [lens - (x, 0.07), lens - (-x, 0.07), bridge], [level] * 3
