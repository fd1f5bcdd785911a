"""A canvas for drawn faces, finer than the picture, and the skin's shading."""

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from pattlite_jax.data.drawing.actions import ActionUnits
from pattlite_jax.data.drawing.landmarks import Curves, landmarks
from pattlite_jax.data.drawing.person import Person
from pattlite_jax.data.drawing.view import SIZE, View, project

FINER = 4  # The canvas's pixels per pixel of the picture.

_PIXELS = np.arange(SIZE) + 0.5

# Soft shadows and lights on the skin: x, y, radius and relative level.
_RELIEF = np.array(
  [
    [-0.33, -0.16, 0.17, -0.16],  # Eye sockets.
    [0.33, -0.16, 0.17, -0.16],
    [-0.40, 0.22, 0.2, 0.08],  # Cheeks.
    [0.40, 0.22, 0.2, 0.08],
    [0.0, 0.12, 0.09, 0.14],  # Tip of the nose.
    [0.0, 0.34, 0.12, -0.1],  # Under the nose.
    [0.0, 0.73, 0.12, -0.08],  # Under the lips.
    [0.0, 0.88, 0.14, 0.08],  # Chin.
    [0.0, -0.6, 0.3, 0.08],  # Forehead.
  ]
)


class Painter:
  """A canvas, and the parts' places on it."""

  def __init__(self, person: Person, actions: ActionUnits, view: View):
    self.person, self.actions, self.view = person, actions, view
    self.scale = view.zoom * FINER  # The canvas's pixels per face unit.
    side = SIZE * FINER
    self.image = Image.new("L", (side, side), round(view.background))
    self._draw = ImageDraw.Draw(self.image)
    self.at = self.place(landmarks(person, actions), on_skin=True)

  def place(self, curves: Curves, *, on_skin: bool) -> Curves:
    """Returns the curves in the canvas's pixels."""
    ends = np.cumsum([len(curve) for curve in curves.values()])
    joined = np.concatenate(list(curves.values()))
    placed = project(joined, self.view, on_skin=on_skin) * FINER
    return dict(zip(curves, np.split(placed, ends[:-1]), strict=True))

  def fill(self, polygon: Float[np.ndarray, "P 2"], level: float) -> None:
    """Fills a polygon of the canvas's pixels with a grey level."""
    self._draw.polygon(polygon.ravel().tolist(), fill=round(level))

  def stroke(
    self,
    curve: Float[np.ndarray, "P 2"],
    width: float | Float[np.ndarray, "P 1"],
    level: float,
  ) -> None:
    """Draws a line `width` face units wide."""
    along = np.empty_like(curve)
    along[1:-1] = curve[2:] - curve[:-2]
    along[0], along[-1] = curve[1] - curve[0], curve[-1] - curve[-2]
    length = np.hypot(along[:, 0], along[:, 1])[:, None] + 1e-6
    half = width * self.scale / 2
    normal = along[:, ::-1] * (-1.0, 1.0) / length * half
    self.fill(np.concatenate([curve + normal, (curve - normal)[::-1]]), level)

  def disc(
    self, centre: Float[np.ndarray, "2"], radius: float, level: float
  ) -> None:
    """Fills a circle; `centre` in the canvas's pixels, `radius` face units."""
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    self.fill(centre + circle * radius * self.scale, level)

  def reduced(self) -> Float[np.ndarray, "48 48"]:
    """Returns the picture: each pixel the mean of its part of the canvas."""
    return np.asarray(self.image.reduce(FINER), dtype=float)


def relief(actions: ActionUnits, view: View) -> Float[np.ndarray, "48 48"]:
  """Returns the relative light of the skin's soft forms."""
  places = project(_RELIEF[:, :2], view, on_skin=True)  # [N, 2]
  radius = _RELIEF[:, 2:3] * view.zoom
  amount = _RELIEF[:, 3].copy()
  amount[2:4] += 0.1 * actions.cheek_raise
  across = np.exp(-0.5 * ((_PIXELS - places[:, :1]) / radius) ** 2)  # [N, 48]
  down = np.exp(-0.5 * ((_PIXELS - places[:, 1:]) / radius) ** 2)
  return 1 + (down * amount[:, None]).T @ across
