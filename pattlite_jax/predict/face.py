"""Anything that a person calls a picture, as pixels like those of training."""

import io
import os
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
import PIL.Image

from pattlite_jax.data import user_files
from pattlite_jax.data.readers import image_file
from pattlite_jax.runtime.array_types import UInt8
from pattlite_jax.runtime.errors import UserError

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # By the number of channels.
# What can be iterated over, but holds no faces in an order.
_NEVER_SEVERAL = (str, bytes, os.PathLike, io.IOBase, Mapping, Set)
_PASS = (
  "pass uint8 of the shape [H, W] or [H, W, 1] (grey), [H, W, 3] (RGB) or "
  "[H, W, 4] (RGBA), a PIL image or the path of a picture"
)


def is_one(faces: Any) -> bool:
  """Whether something is one face, rather than a batch or a list of some."""
  if isinstance(faces, np.ndarray) and faces.dtype.kind in "OU":
    return False  # Of paths, or of pictures of several sizes.
  if hasattr(faces, "shape"):  # tf.Variable has no ndim.
    return len(faces.shape) <= 3
  if isinstance(faces, _NEVER_SEVERAL):
    return True
  return not (isinstance(faces, Iterable) or hasattr(faces, "__getitem__"))


def like_training(
  face: Any, image_shape: tuple[int, int, int]
) -> UInt8[np.ndarray, "H W C"]:
  """Returns a face in the shape [H, W, C] of the training images.

  It is an array of any library, a PIL image of any mode, or a path. What is
  transparent is laid on white. What a crop lacks to the shape of the training
  images is filled with its mean, and a larger one is averaged, so that none is
  sharper than those of training.

  Raises:
    UserError: if it is none of these; says what to pass.
  """
  height, width, channels = image_shape
  pixels = image_file.filled(pixels_of(face, channels), height, width)
  if pixels.shape[:2] == (height, width):
    return pixels
  return image_file.resized(pixels, height, width)


def pixels_of(
  picture: Any, channels: int, name: str = "A face"
) -> UInt8[np.ndarray, "H W {channels}"]:
  """Returns an array of any library, a PIL image or a file as pixels.

  Raises:
    UserError: if it is none of these; begins with `name`, says what to pass.
  """
  if isinstance(picture, str | os.PathLike):
    path = user_files.folder(os.fspath(picture))
    return image_file.read_image(path, channels)
  return image_file.pixels(_picture(picture, name), channels, name)


def _picture(face: Any, name: str) -> PIL.Image.Image:
  if isinstance(face, PIL.Image.Image):
    return face
  if face is None:
    raise UserError(
      f"{name} is None, which OpenCV's imread returns for a file that it "
      "cannot read. Pass the path of the picture to see what is wrong with it."
    )
  if isinstance(face, bytes):
    raise UserError(
      f"{name} is bytes; pass PIL.Image.open(io.BytesIO(...)) of them."
    )
  if isinstance(face, io.IOBase):
    raise UserError(f"{name} is an open file; pass PIL.Image.open(...) of it.")
  if isinstance(face, Mapping | Set | int | float):
    raise UserError(f"{name} is of type {type(face).__name__}; {_PASS}.")
  try:
    array = np.asarray(face)
  except Exception as error:  # Tensors on a GPU, and lists of uneven lists.
    raise UserError(
      f"{name} is a {type(face).__name__} that NumPy cannot read ({error}); "
      f"{_PASS}."
    ) from error
  return PIL.Image.fromarray(_checked(array, name))


def _checked(array: np.ndarray, name: str) -> UInt8[np.ndarray, "..."]:
  """Returns an array as PIL takes it.

  Raises:
    UserError: if it is not uint8 or no picture.
  """
  channels = array.shape[2] if array.ndim == 3 else 1
  is_picture = array.ndim in (2, 3) and array.size and channels in _MODES
  if array.dtype != np.uint8:
    hint = ""
    if is_picture and array.dtype.kind == "f":
      hint = "; for pixels in 0 to 1 that is (255 * face).round().astype('u1')"
    raise UserError(
      f"{name} is {array.dtype}, but must be uint8 in 0 to 255{hint}. "
      f"Otherwise {_PASS}."
    )
  if not is_picture:
    hint = ""
    if array.ndim == 3 and array.shape[0] in (1, 3, 4):
      hint = " With channels first, pass face.transpose(1, 2, 0)."
    raise UserError(
      f"{name} has the shape {array.shape}; {_PASS}. A batch of grey faces is "
      f"[N, H, W, 1].{hint}"
    )
  return array.reshape(array.shape[:2]) if channels == 1 else array
