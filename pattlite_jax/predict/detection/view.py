"""A region of a picture as a detector's input, and the way back."""

import dataclasses

import numpy as np
import PIL.Image

from pattlite_jax.runtime.array_types import Float, UInt8

Region = tuple[float, float, float, float]  # Left, top, right, bottom; pixels.


@dataclasses.dataclass(frozen=True)
class View:
  """Pixels for a detector, and where they lie in the picture.

  A place (x, y) of `pixels` is at `offset + scale * (x, y)` of the picture.
  """

  pixels: UInt8[np.ndarray, "H W 3"]
  offset: tuple[float, float]
  scale: tuple[float, float]

  def to_picture(
    self, boxes: Float[np.ndarray, "N 4"]
  ) -> Float[np.ndarray, "N 4"]:
    """Returns boxes of the view in the picture's pixels."""
    return boxes * (self.scale * 2) + (self.offset * 2)


def letterbox(
  picture: PIL.Image.Image, region: Region, width: int, height: int
) -> View:
  """Lays a region of an RGB picture into the middle of a black one.

  It keeps its shape and is averaged where it is made smaller. The region may
  reach over the picture's edge; what is there is black, too.
  """
  left, top, right, bottom = region
  shrink = min(width / (right - left), height / (bottom - top))
  # What there is of the region, and how many pixels it becomes.
  box = (
    max(left, 0.0),
    max(top, 0.0),
    min(right, float(picture.width)),
    min(bottom, float(picture.height)),
  )
  size = (
    max(round((box[2] - box[0]) * shrink), 1),
    max(round((box[3] - box[1]) * shrink), 1),
  )
  scale = ((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1])
  corner = (
    round((width - (right - left) * shrink) / 2 + (box[0] - left) * shrink),
    round((height - (bottom - top) * shrink) / 2 + (box[1] - top) * shrink),
  )
  resized = picture.resize(size, PIL.Image.Resampling.BILINEAR, box=box)
  canvas = PIL.Image.new("RGB", (width, height))
  canvas.paste(resized, corner)
  offset = (box[0] - corner[0] * scale[0], box[1] - corner[1] * scale[1])
  return View(np.asarray(canvas), offset, scale)
