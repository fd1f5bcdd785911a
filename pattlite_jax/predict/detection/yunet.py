"""YuNet: the face detector of OpenCV's model zoo.

Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023. The files
face_detection_yunet_2023mar*.onnx of github.com/opencv/opencv_zoo (MIT) are
not in this package. Decoded as by OpenCV's FaceDetectorYN.
"""

import numpy as np
import PIL.Image

from pattlite_jax.predict.detection import boxes as boxes_lib
from pattlite_jax.predict.detection.boxes import Detections
from pattlite_jax.predict.detection.view import Region, letterbox
from pattlite_jax.predict.session import Session
from pattlite_jax.runtime.array_types import Float32

_STRIDES = (8, 16, 32)
_NEEDED = [f"{k}_{s}" for s in _STRIDES for k in ("cls", "obj", "bbox")]
_MIN_OVERLAP = 0.3


class YuNet:
  """Looks at a region with the size that its file declares, or 640."""

  name = "YuNet"
  min_score = 0.6

  def __init__(self, session: Session):
    self.session = session
    height, width = session.inputs[0][2:]
    self._size = (width or 640, height or 640)
    self.side = max(self._size)

  @staticmethod
  def fits(session: Session) -> bool:
    """Whether a file has the inputs and outputs of this detector."""
    image = session.inputs[0]
    return (
      len(image) == 4 and image[1] == 3 and set(_NEEDED) <= set(session.outputs)
    )

  def find(self, picture: PIL.Image.Image, region: Region) -> Detections:
    """Returns the faces in a region of an RGB picture, in its pixels."""
    view = letterbox(picture, region, *self._size)
    blue_first = view.pixels[..., ::-1].transpose(2, 0, 1)[None]
    values = self.session(np.ascontiguousarray(blue_first, np.float32))
    outputs = dict(zip(self.session.outputs, values, strict=True))
    parts = []
    for stride in _STRIDES:
      scores, objects, boxes = (
        outputs[f"{kind}_{stride}"][0] for kind in ("cls", "obj", "bbox")
      )
      columns = self._size[0] // stride
      parts.append(
        decode(
          scores[:, 0], objects[:, 0], boxes, stride, columns, self.min_score
        )
      )
    found = boxes_lib.drop_repeated(boxes_lib.joined(parts), _MIN_OVERLAP)
    return Detections(view.to_picture(found.boxes), found.scores)


def decode(
  classes: Float32[np.ndarray, "N"],
  objects: Float32[np.ndarray, "N"],
  raw: Float32[np.ndarray, "N 4"],
  stride: int,
  columns: int,
  min_score: float,
) -> Detections:
  """Returns the boxes of one grid of at least `min_score`, in input pixels.

  The score is the geometric mean of "a face" and "an object here". A box is
  its centre from its cell's corner and its log size, in cells.
  """
  scores = np.sqrt(np.clip(classes, 0, 1) * np.clip(objects, 0, 1))
  rows = np.flatnonzero(scores >= min_score)
  cells = np.stack([rows % columns, rows // columns], axis=-1)
  centres = (cells + raw[rows, :2].astype(np.float64)) * stride
  half = np.exp(raw[rows, 2:].astype(np.float64)) * stride / 2
  boxes = np.concatenate([centres - half, centres + half], axis=1)
  return Detections(boxes, scores[rows].astype(np.float64))
