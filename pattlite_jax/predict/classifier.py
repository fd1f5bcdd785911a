"""Faces of any size to the probability of each expression, one at a time."""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath
from jaxtyping import Float, UInt8

from pattlite_jax import trained
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.predict import face as face_lib
from pattlite_jax.predict import photo as photo_lib
from pattlite_jax.predict.detection import load as detectors
from pattlite_jax.predict.detection import passes as passes_lib
from pattlite_jax.runtime import errors, startup
from pattlite_jax.runtime.errors import UserError

# Faces that are taken together. Each size is compiled once, and a list is cut
# into these, so that it costs what it holds. Eight take a CPU a third of the
# time of one by one; more take no less a face.
_SIZES = (32, 16, 8, 4, 2, 1)
_CPU_SIZES = _SIZES[2:]
# The process in which classifiers compute, once one was made. JAX waits for
# ever in what is forked from it.
_process: int | None = None


class Classifier:
  """A trained network as a function of faces.

  Faces are made what the network was trained on: grey if its images were, and
  of their height and width (averaged where a face is larger, so that none is
  sharper than those of training). The network enlarges them to its input.

  No face's result depends on others: weights of attention "batch" are used
  without attention.
  """

  def __init__(self, network: trained.Trained):
    _require_own_process()
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
    on_cpu = jax.default_backend() == "cpu"
    self._sizes = _CPU_SIZES if on_cpu else _SIZES
    self._name: epath.PathLike | None = None  # That `load` was given.

  @property
  def class_names(self) -> tuple[str, ...]:
    """The expressions, in the order of the probabilities."""
    return self.network.class_names

  def __call__(
    self, faces: Any
  ) -> Float[np.ndarray, "K"] | Float[np.ndarray, "N K"]:
    """Returns probabilities: [K] of one face, [N, K] of a batch or a list.

    A face is an array of any library, of uint8 [H, W] or [H, W, 1] (grey),
    [H, W, 3] (RGB) or [H, W, 4] (RGBA), a PIL image of any mode, or the path of
    a picture, cut out of its photograph with little around it. Lists may mix
    these, of any sizes; an empty one gives [0, K].

    Raises:
      UserError: if a face is none of these; says what to pass.
      RuntimeError: in a process that was forked after loading.
    """
    _require_own_process()
    one = face_lib.is_one(faces)
    images = [
      face_lib.like_training(face, self._image_shape)
      for face in ([faces] if one else faces)
    ]
    probabilities = self.probabilities(
      np.array(images, np.uint8).reshape(-1, *self._image_shape)
    )
    return probabilities[0] if one else probabilities

  def photo(
    self, picture: Any, *, passes: Sequence[str] = passes_lib.PASSES
  ) -> list[photo_lib.Face]:
    """Returns the faces of a photograph, from left to right.

    `picture` is what a face may be: an array, a PIL image, a path. `passes` are
    the regions to look at (see `detection.passes`).

    Raises:
      UserError: if it is none of these; says what to pass.
      ModuleNotFoundError: without onnxruntime, of the extra "predict".
    """
    _require_own_process()
    pixels = face_lib.pixels_of(picture, 3, "A picture")
    try:
      reader = self._reader
    except ModuleNotFoundError as error:
      raise ModuleNotFoundError(
        f"Photographs need {error.name}. {errors.remedy(error)}",
        name=error.name,
      ) from error
    return reader.faces(pixels, photo_lib.checked_passes(passes))

  @functools.cached_property
  def _reader(self) -> photo_lib.Reader:
    return photo_lib.Reader(
      self.probabilities,
      self._image_shape,
      self.class_names,
      detectors.load(),
    )

  def probabilities(
    self, images: UInt8[np.ndarray, "N H W C"]
  ) -> Float[np.ndarray, "N K"]:
    """Returns the probabilities of images of the training images' shape.

    Raises:
      RuntimeError: in a process that was forked after loading.
    """
    _require_own_process()
    logits = [np.zeros((0, len(self.class_names)), np.float32)]
    for rows in cut(len(images), self._sizes):
      examples = examples_lib.unlabelled(images[rows], self.class_names)
      logits.append(self._logits_of(examples, len(examples)))
    return _softmax(np.concatenate(logits))

  def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Pickles as what `load` was given, which is loaded again.

    Raises:
      TypeError: if it was not made by `load`.
    """
    if self._name is None:
      raise TypeError(
        "This classifier was not made by pattlite_jax.load, so it cannot be "
        "pickled; release the network, and load its folder."
      )
    return load, (self._name,)


def load(name: epath.PathLike) -> Classifier:
  """Loads a shipped network ("ferplus", "fer2013"), a run or a model's folder.

  JAX keeps what it compiles (`startup.keep_compilations`), so that the next
  process predicts sooner.

  Raises:
    MissingFileError: if there is none.
    UserError: if it is broken.
    RuntimeError: in a process that was forked from one with a classifier.
  """
  _require_own_process()
  startup.keep_compilations()
  classifier = Classifier(trained.load(name))
  classifier._name = name
  return classifier


def _softmax(logits: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
  """In NumPy: JAX would compile it for each N; SciPy takes long to import."""
  if not len(logits):
    return logits
  powers = np.exp(logits - logits.max(axis=1, keepdims=True))
  return powers / powers.sum(axis=1, keepdims=True)


def _require_own_process() -> None:
  global _process
  if _process is None:
    _process = os.getpid()
  if _process != os.getpid():
    raise RuntimeError(
      "This process was forked from one that had loaded a classifier, and JAX "
      "does not survive a fork. Load classifiers after the fork alone, or "
      'start processes with multiprocessing.get_context("spawn").'
    )


def cut(count: int, sizes: tuple[int, ...]) -> Iterator[slice]:
  """Yields the rows of each batch: as large as possible, and never padded.

  `sizes` fall to 1.
  """
  first = 0
  while first < count:
    size = next(size for size in sizes if size <= count - first)
    yield slice(first, first + size)
    first += size
