"""The part of a photograph that the network sees of a face."""

import numpy as np

from pattlite_jax.runtime.array_types import Float, UInt8

# Side of the square by the box's mean side. docs/use.md has the loss that
# other sides cost (results/cut/ferplus.json).
SIDE = 1.05

Square = tuple[int, int, int, int]  # Left, top, right, bottom; pixels.


def square(box: Float[np.ndarray, "4"], side: float = SIDE) -> Square:
  """Returns the square around a box's centre, `side` times its mean side.

  It may reach over the picture's edge.
  """
  width, height = box[2:] - box[:2]
  pixels = max(round(side * float(np.sqrt(width * height))), 1)
  left, top = (
    round(float(box[axis] + box[axis + 2] - pixels) / 2) for axis in (0, 1)
  )
  return left, top, left + pixels, top + pixels


def cut(
  pixels: UInt8[np.ndarray, "H W C"], square: Square
) -> UInt8[np.ndarray, "S S C"]:
  """Returns a square of a picture; over the edge, its last pixels repeat."""
  height, width, _ = pixels.shape
  left, top, right, bottom = square
  if min(left, top) >= 0 and right <= width and bottom <= height:
    return pixels[top:bottom, left:right]
  rows = np.clip(np.arange(top, bottom), 0, height - 1)
  columns = np.clip(np.arange(left, right), 0, width - 1)
  return pixels[rows[:, None], columns]
