"""How a drawn face is seen: pose, light, blur, noise and what hides it."""

import dataclasses
import math

import numpy as np
from jaxtyping import Float, UInt8

SIZE = 48  # Pixels of a side of the picture, as in FER2013.
OCCLUDERS = ("none", "bar", "hand", "scarf", "shades")

_GRID = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1  # Pixel centres in [-1, 1].


@dataclasses.dataclass(frozen=True)
class View:
  """What tells nothing of the expression. The defaults are a plain portrait."""

  roll: float = 0.0  # Radians, in the picture's plane.
  yaw: float = 0.0  # Radians, positive looks to the picture's right.
  pitch: float = 0.0  # Radians, positive looks down.
  zoom: float = 22.0  # Pixels of half the head's height.
  shift_x: float = 0.0  # Pixels.
  shift_y: float = 0.0  # Pixels.
  background: float = 120.0  # Grey level.
  light: float = 0.0  # Relative change of light from the middle to an edge.
  light_angle: float = 0.0  # Radians, where the light comes from.
  contrast: float = 1.0
  blur: float = 0.0  # Pixels, standard deviation.
  noise: float = 0.0  # Grey levels, standard deviation.
  occluder: str = "none"  # One of OCCLUDERS.


def sample_view(rng: np.random.Generator) -> View:
  """Draws a view at random."""
  hidden = rng.random() < 0.12
  return View(
    roll=rng.normal(0.0, 0.08),
    yaw=float(np.clip(rng.normal(0.0, 0.12), -0.3, 0.3)),
    pitch=float(np.clip(rng.normal(0.0, 0.06), -0.15, 0.15)),
    zoom=rng.uniform(22.5, 26.5),
    shift_x=rng.normal(0.0, 1.0),
    shift_y=rng.normal(0.0, 1.0),
    background=rng.uniform(10, 245),
    light=rng.uniform(0.0, 0.4),
    light_angle=rng.uniform(0.0, 2 * np.pi),
    contrast=rng.uniform(0.65, 1.1),
    blur=rng.uniform(0.0, 0.7),
    noise=rng.uniform(0.0, 6.0),
    occluder=str(rng.choice(OCCLUDERS[1:])) if hidden else "none",
  )


def project(
  points: Float[np.ndarray, "P 2"], view: View, *, on_skin: bool
) -> Float[np.ndarray, "P 2"]:
  """Maps face coordinates to pixels.

  Points on the skin lie on a sphere that turns with yaw and pitch, so that the
  far half of the face is foreshortened; the silhouette only rolls and moves.
  """
  x, y = points[:, 0], points[:, 1]
  if on_skin:
    depth = np.sqrt(np.maximum(0.95 - x**2 - 0.5 * y**2, 0.1))
    x = x * math.cos(view.yaw) + depth * math.sin(view.yaw)
    y = y * math.cos(view.pitch) + depth * math.sin(view.pitch)
  cos, sin = math.cos(view.roll) * view.zoom, math.sin(view.roll) * view.zoom
  return np.stack(
    [
      SIZE / 2 + view.shift_x + x * cos - y * sin,
      SIZE / 2 + view.shift_y + x * sin + y * cos,
    ],
    axis=-1,
  )


def expose(
  picture: Float[np.ndarray, "48 48"], view: View, rng: np.random.Generator
) -> UInt8[np.ndarray, "48 48"]:
  """Lights, blurs and photographs a picture of grey levels 0..255."""
  across = math.cos(view.light_angle) * _GRID
  down = math.sin(view.light_angle) * _GRID
  lit = picture * (1 + view.light * (across[None, :] + down[:, None]))
  if view.blur > 0:
    lit = _blurred(lit, view.blur)
  mean = lit.mean()
  seen = mean + view.contrast * (lit - mean)
  seen = seen + view.noise * rng.standard_normal(seen.shape)
  return np.clip(np.rint(seen), 0, 255).astype(np.uint8)


def _blurred(
  picture: Float[np.ndarray, "48 48"], sigma: float
) -> Float[np.ndarray, "48 48"]:
  offset = np.arange(SIZE)[:, None] - np.arange(SIZE)[None, :]
  weights = np.exp(-0.5 * (offset / sigma) ** 2)
  weights /= weights.sum(axis=1, keepdims=True)  # Keeps the border's light.
  return weights @ picture @ weights.T
