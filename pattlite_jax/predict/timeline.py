"""The expressions of a video over time, as a picture."""

import array
import math
from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw

from pattlite_jax.predict import annotate
from pattlite_jax.predict.photo import Face
from pattlite_jax.runtime.array_types import Float

SMOOTHED_OVER_S = 1.0  # Seconds of the moving average.
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT = 1280, 480, 70, 80, 40
_BOTTOM = 60


class Timeline:
  """Collects the largest face of each frame: 4 bytes a class and frame."""

  def __init__(self, class_names: Sequence[str]):
    self._class_names = class_names
    self._times = array.array("d")
    self._rows = array.array("f")

  def add(self, time_s: float, faces: Sequence[Face]) -> None:
    """Adds a frame."""
    self._times.append(time_s)
    if faces:
      face = max(faces, key=_area)
      self._rows.extend(face.probabilities.tolist())
    else:
      self._rows.extend([math.nan] * len(self._class_names))

  def draw(self, title: str) -> PIL.Image.Image:
    """Returns the picture: smoothed lines, over pale ones as they were."""
    times = np.array(self._times)
    raw = np.array(self._rows).reshape(-1, len(self._class_names))
    picture = PIL.Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw = PIL.ImageDraw.Draw(picture)
    _axes(draw, float(times.max(initial=0.0)), title, self._class_names)
    mean = smoothed(times, raw, SMOOTHED_OVER_S)
    for values, width in ((raw, 1), (mean, 3)):
      for k in range(raw.shape[1]):
        colour = annotate.colour(k) if width > 1 else _pale(annotate.colour(k))
        for line in _lines(times, values[:, k]):
          draw.line(line, fill=colour, width=width)
    return picture


def _area(face: Face) -> float:
  left, top, right, bottom = face.box
  return (right - left) * (bottom - top)


def smoothed(
  times: Float[np.ndarray, "N"], rows: Float[np.ndarray, "N K"], over_s: float
) -> Float[np.ndarray, "N K"]:
  """Returns the mean over the frames within `over_s` / 2 of each.

  Frames without a face are left out of it, and stay NaN.
  """
  there = ~np.isnan(rows)
  zero = np.zeros((1, rows.shape[1]))
  sums = np.concatenate([zero, np.where(there, rows, 0).cumsum(0, float)])
  counts = np.concatenate([zero, there.cumsum(0)])
  # Times rise, but for files whose stamps are broken.
  order = np.maximum.accumulate(times)
  first = np.searchsorted(order, order - over_s / 2, "left")
  last = np.searchsorted(order, order + over_s / 2, "right")
  mean = (sums[last] - sums[first]) / np.maximum(
    counts[last] - counts[first], 1
  )
  return np.where(there, mean, np.nan)


def _axes(
  draw: PIL.ImageDraw.ImageDraw,
  seconds: float,
  title: str,
  class_names: Sequence[str],
) -> None:
  text = annotate.font(16)
  draw.text((_LEFT, 12), title, "black", annotate.font(20))
  x = _LEFT
  for k, name in enumerate(class_names):
    draw.rectangle((x, 48, x + 16, 60), fill=annotate.colour(k))
    draw.text((x + 22, 44), name, "black", text)
    x += 40 + round(text.getbbox(name)[2])
  for share in (0.0, 0.25, 0.5, 0.75, 1.0):
    y = _y(share)
    draw.line((_LEFT, y, _WIDTH - _RIGHT, y), fill="#dddddd")
    draw.text((_LEFT - 10, y), f"{share:.0%}", "black", text, anchor="rm")
  for part in range(6):
    x = _LEFT + part * (_WIDTH - _LEFT - _RIGHT) / 5
    label = f"{seconds * part / 5:.1f} s"
    draw.text((x, _HEIGHT - _BOTTOM + 8), label, "black", text, anchor="ma")
  note = (
    "The largest face of each frame. Thick: mean over "
    f"{SMOOTHED_OVER_S:g} s. Thin: each frame."
  )
  draw.text((_LEFT, _HEIGHT - 26), note, "#555555", annotate.font(14))


def _lines(
  times: Float[np.ndarray, "N"], values: Float[np.ndarray, "N"]
) -> list[list[tuple[float, float]]]:
  """Returns the points of each stretch of frames with a face."""
  end = max(float(times.max(initial=0.0)), 1e-9)
  x = _LEFT + times / end * (_WIDTH - _LEFT - _RIGHT)
  there = np.flatnonzero(~np.isnan(values))
  stretches = np.split(there, np.flatnonzero(np.diff(there) > 1) + 1)
  return [
    [(float(x[n]), _y(float(values[n]))) for n in stretch]
    for stretch in stretches
    if len(stretch)
  ]


def _y(share: float) -> float:
  return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)


def _pale(colour: str) -> str:
  parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
  return "#" + "".join(f"{(part + 2 * 255) // 3:02x}" for part in parts)
