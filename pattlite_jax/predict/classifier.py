"""Faces of any size to the probability of each expression, one at a time."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import PIL.Image
from etils import epath
from jaxtyping import Float, UInt8

from pattlite_jax import trained
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime.errors import UserError

_BATCH_SIZE = 32  # For several faces: one size is compiled only once.


class Classifier:
  """A trained network as a function of faces.

  Faces are made what the network was trained on: grey if its images were, and
  of their height and width (averaged where a face is larger, so that none is
  sharper than those of training). The network enlarges them to its input.

  No face's result depends on others: weights of attention "batch" are used
  without attention.
  """

  def __init__(self, network: trained.Trained):
    if network.image_shape is None:
      raise UserError(
        "The checkpoint does not say what its training images looked like, so "
        "faces of any size cannot be made like them; use "
        "pattlite_jax.trained.load and images of the right shape, or, for a "
        "run of an older version, write its folder with pattlite_jax.release."
      )
    self.network = network
    self._image_shape = network.image_shape
    self._logits_of = network.predictor_alone()

  @property
  def class_names(self) -> tuple[str, ...]:
    """The expressions, in the order of the probabilities."""
    return self.network.class_names

  def __call__(
    self, faces: Any
  ) -> Float[np.ndarray, "K"] | Float[np.ndarray, "N K"]:
    """Returns probabilities: [K] of one face, [N, K] of a batch or a list.

    A face is an array (NumPy's, JAX's, ...) of uint8 [H, W] or [H, W, 1] (grey)
    or [H, W, 3] (RGB), cut out of its photograph with little around it; those
    of a list may differ in size.

    Raises:
      TypeError: if a face is not uint8.
      UserError: if it has another shape.
    """
    if hasattr(faces, "ndim"):  # An array of another library.
      faces = np.asarray(faces)
    one = isinstance(faces, np.ndarray) and faces.ndim <= 3
    images = stack([faces] if one else faces, self._image_shape)
    logits = self._logits_of(
      examples_lib.unlabelled(images, self.class_names),
      1 if len(images) == 1 else _BATCH_SIZE,
    )
    probabilities = np.asarray(jax.nn.softmax(logits))
    return probabilities[0] if one else probabilities


def load(name: epath.PathLike) -> Classifier:
  """Loads a shipped network ("ferplus", "fer2013"), a run or a model's folder.

  Raises:
    MissingFileError: if there is none.
    UserError: if it is broken.
  """
  return Classifier(trained.load(name))


def stack(
  faces: np.ndarray | Sequence[np.ndarray], image_shape: tuple[int, int, int]
) -> UInt8[np.ndarray, "N H W C"]:
  """Returns faces in the shape of the training images.

  Raises:
    TypeError, UserError: as `prepare`, and if there are no faces.
  """
  if not len(faces):
    raise UserError("There are no faces.")
  return np.stack([prepare(np.asarray(face), image_shape) for face in faces])


def prepare(
  face: np.ndarray, image_shape: tuple[int, int, int]
) -> UInt8[np.ndarray, "H W C"]:
  """Returns a face in the shape of the training images.

  Raises:
    TypeError: if it is not uint8.
    UserError: if it is not [H, W], [H, W, 1] or [H, W, 3].
  """
  if face.dtype != np.uint8:
    raise TypeError(f"A face is {face.dtype}, but must be uint8 in 0 to 255.")
  grey = face.ndim == 2 or (face.ndim == 3 and face.shape[-1] == 1)
  colour = face.ndim == 3 and face.shape[-1] == 3
  if not face.size or not (grey or colour):
    raise UserError(
      f"A face has the shape {face.shape}, but must have [H, W], [H, W, 1] or "
      "[H, W, 3] (RGB); a batch of grey faces is [N, H, W, 1]."
    )
  height, width, channels = image_shape
  picture = PIL.Image.fromarray(face.reshape(face.shape[:2]) if grey else face)
  picture = picture.convert({1: "L", 3: "RGB"}[channels])
  if picture.size != (width, height):
    # Pillow's filter covers all pixels of what it makes smaller.
    picture = picture.resize((width, height), PIL.Image.Resampling.BILINEAR)
  return np.asarray(picture).reshape(image_shape)
