"""BlazeFace, full range: the detector that comes with the package.

Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile
GPUs", 2019. Network and decoding as in MediaPipe's
face_detection_full_range: 192 x 192 pixels, a grid of 48 x 48 anchors.
"""

import numpy as np
import PIL.Image

from pattlite_jax.predict.detection import boxes as boxes_lib
from pattlite_jax.predict.detection.boxes import Detections
from pattlite_jax.predict.detection.view import Region, letterbox
from pattlite_jax.predict.session import Session
from pattlite_jax.runtime.array_types import Float, Float32

SIDE = 192  # Pixels of the network's input.
_GRID = 48
_MIN_OVERLAP = 0.3  # MediaPipe's min_suppression_threshold.


class BlazeFace:
  """Finds faces that take up at least 5 % of a view, at any number."""

  name = "BlazeFace full range"
  side = SIDE
  min_score = 0.6  # MediaPipe's min_score_thresh for this network.

  def __init__(self, session: Session):
    self.session = session

  @staticmethod
  def fits(session: Session) -> bool:
    """Whether a file has the inputs and outputs of this detector."""
    return session.inputs[0] == (1, SIDE, SIDE, 3) and set(
      session.outputs.values()
    ) == {(1, _GRID**2, 16), (1, _GRID**2, 1)}

  def find(self, picture: PIL.Image.Image, region: Region) -> Detections:
    """Returns the faces in a region of an RGB picture, in its pixels."""
    view = letterbox(picture, region, SIDE, SIDE)
    pixels = view.pixels.astype(np.float32) * np.float32(2 / 255) - 1
    outputs = self.session(pixels[None])
    raw, logits = sorted(outputs, key=lambda output: -output.shape[-1])
    found = decode(raw[0], logits[0, :, 0], self.min_score)
    found = boxes_lib.merge_weighted(found, _MIN_OVERLAP)
    return Detections(view.to_picture(found.boxes), found.scores)


def decode(
  raw: Float32[np.ndarray, "N 16"],
  logits: Float32[np.ndarray, "N"],
  min_score: float,
) -> Detections:
  """Returns the boxes of at least `min_score`, in pixels of the input.

  `raw` holds, in pixels, the box's centre relative to its anchor, its width
  and height, and six points of the face. The anchors lie in the middle of the
  grid's cells, row by row (MediaPipe's tensors_to_detections_calculator).
  """
  rows = np.flatnonzero(logits >= np.log(min_score / (1 - min_score)))
  anchors = np.stack([rows % _GRID, rows // _GRID], axis=-1) + 0.5  # [N, 2]
  centres: Float[np.ndarray, "N 2"] = raw[rows, :2] + anchors * (SIDE / _GRID)
  half = raw[rows, 2:4].astype(np.float64) / 2
  scores = 1 / (1 + np.exp(-logits[rows].astype(np.float64)))
  return Detections(np.concatenate([centres - half, centres + half], 1), scores)
