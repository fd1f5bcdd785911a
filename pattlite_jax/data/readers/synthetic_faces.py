"""TFDS builder of a drawn set of faces, which needs no files."""

import inspect
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Int

from pattlite_jax.data import user_files
from pattlite_jax.data.drawing import face
from pattlite_jax.data.drawing.actions import EXPRESSIONS
from pattlite_jax.data.readers import builder

NUM_FACES = {"train": 2800, "validation": 700, "test": 700}

_SEED = 0
# Trailing zeros of a NumPy seed do not count, so a stream's number is not 0.
_LABEL_STREAM, _FACE_STREAM = 1, 2


class SyntheticFaces(builder.FaceBuilder):
  """Drawn faces, not photographs: for trying the code without any data.

  Seven expressions with FER2013's names, order and size (48x48, grey), drawn by
  rule from facial action units. 2,800 train, 700 validation and 700 test
  pictures, the classes balanced and mixed. An accuracy on this set says that
  the code works and nothing about faces of people.
  """

  CLASS_NAMES = EXPRESSIONS
  IMAGE_SHAPE = (48, 48, 1)
  HOMEPAGE = "https://en.wikipedia.org/wiki/Facial_Action_Coding_System"

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
      builder=self,
      description=inspect.getdoc(type(self)),  # Says that they are drawn.
      features=super()._info().features,
      homepage=self.HOMEPAGE,
      disable_shuffling=True,
    )

  @classmethod
  def source_files(cls, data_dir: user_files.Path) -> list[user_files.Path]:
    """Returns no files: the set is drawn."""
    return []

  def faces(
    self, data_dir: user_files.Path
  ) -> dict[str, Iterable[builder.Face]]:
    """Returns the pictures of each split; reads nothing from `data_dir`."""
    return {split: _drawn_faces(split) for split in NUM_FACES}


def _drawn_faces(split: str) -> Iterator[builder.Face]:
  for k in range(NUM_FACES[split]):
    yield drawn_face(split, k)


def drawn_face(split: str, k: int) -> builder.Face:
  """Returns picture k of a split of NUM_FACES, whatever was drawn before."""
  split_number = list(NUM_FACES).index(split)
  rng = np.random.default_rng([_SEED, split_number, _FACE_STREAM, k])
  label = int(split_labels(split)[k])
  image = face.draw_face(rng, label)
  return builder.Face(image, label, f"drawn-{split}-{k:05d}")


def split_labels(split: str) -> Int[np.ndarray, "N"]:
  """Returns the labels of a split: balanced, in a fixed mixed order."""
  split_number = list(NUM_FACES).index(split)
  rng = np.random.default_rng([_SEED, split_number, _LABEL_STREAM])
  return rng.permutation(np.arange(NUM_FACES[split]) % len(EXPRESSIONS))
