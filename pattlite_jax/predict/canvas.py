"""A face in the middle of a picture, whose place and class are known."""

import numpy as np
import PIL.Image
from jaxtyping import Float, UInt8

SCALE = 4  # Pixels of the canvas for one of the face.
# Where a box's centre lies that is on the face, in the face's frame.
_INNER = (0.2, 0.8)


def lay(image: UInt8[np.ndarray, "h w C"]) -> UInt8[np.ndarray, "H W 3"]:
  """Returns RGB pixels: the face in the middle, as large again around it.

  Around it are its own last pixels, repeated.
  """
  height, width, channels = image.shape
  small = PIL.Image.fromarray(image[..., 0] if channels == 1 else image)
  large = small.convert("RGB").resize(
    (width * SCALE, height * SCALE), PIL.Image.Resampling.BICUBIC
  )
  rows, columns = height * SCALE // 2, width * SCALE // 2
  return np.pad(
    np.asarray(large), ((rows, rows), (columns, columns), (0, 0)), "edge"
  )


def in_frame(
  boxes: Float[np.ndarray, "N 4"], canvas: UInt8[np.ndarray, "H W 3"]
) -> Float[np.ndarray, "N 4"]:
  """Returns a canvas's boxes (left, top, right, bottom) as shares of the face.

  (0, 0, 1, 1) is the face as it was laid there.
  """
  height, width, _ = canvas.shape
  return boxes / ([width / 2, height / 2] * 2) - 0.5


def in_pixels(
  boxes: Float[np.ndarray, "*N 4"], canvas: UInt8[np.ndarray, "H W 3"]
) -> Float[np.ndarray, "*N 4"]:
  """Undoes `in_frame`."""
  height, width, _ = canvas.shape
  return (boxes + 0.5) * ([width / 2, height / 2] * 2)


def on_face(
  boxes: Float[np.ndarray, "N 4"], scores: Float[np.ndarray, "N"]
) -> int | None:
  """Returns the likeliest box, in the face's frame, that is on the face."""
  centres = (boxes[:, :2] + boxes[:, 2:]) / 2
  low, high = _INNER
  inside = np.flatnonzero(((centres > low) & (centres < high)).all(axis=1))
  return int(inside[scores[inside].argmax()]) if len(inside) else None
