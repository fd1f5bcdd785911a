"""SFEW 2.0: 958 training and 436 validation frames of films, 7 classes.

The labels of its test set are not handed out, so its validation set is the test
split here, as in the literature; a tenth of the training images is validation,
by RAF-DB's rule.

Class counts: as papers that use the set state them; they add up to the totals
of the challenge (EmotiW 2015). The aligned copies have fewer, as not every face
was found.
"""

from collections.abc import Iterator
from typing import ClassVar

import tensorflow_datasets as tfds

from pattlite_jax.data import class_names, user_files
from pattlite_jax.data.readers import (
  builder,
  image_files,
  image_folder,
  listing,
)
from pattlite_jax.data.readers.held_out import held_out_size

TRAIN_COUNTS = (178, 66, 98, 198, 172, 96, 150)
TEST_COUNTS = (77, 23, 47, 73, 73, 57, 86)
HOW_TO_GET = (
  "Ask the authors for SFEW 2.0 (https://cs.anu.edu.au/few/) and unpack it, so "
  "that Train/ (or Train_Aligned_Faces/) and Val/ (or Val_Aligned_Faces/) hold "
  "the class folders Angry to Surprise."
)
FOLDERS = {
  "train": ("Train", "Train_Aligned_Faces"),
  "test": ("Val", "Val_Aligned_Faces_new", "Val_Aligned_Faces"),
}


class Sfew(image_files.ImageFiles, skip_registration=True):
  """SFEW 2.0; its validation set is the test split."""

  CLASS_NAMES = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
    "neutral",
  )
  IMAGE_SHAPE = (None, None, 3)
  HOMEPAGE = "https://cs.anu.edu.au/few/"
  VERSION = tfds.core.Version("1.1.0")  # Since which faces become squares.
  ANY_SIZE = True
  PUBLISHED_COUNTS: ClassVar[builder.Counts] = {
    "train": tuple(n - held_out_size(n) for n in TRAIN_COUNTS),
    "validation": tuple(held_out_size(n) for n in TRAIN_COUNTS),
    "test": TEST_COUNTS,
  }

  @classmethod
  def entries(cls, data_dir: user_files.Path) -> image_files.Splits:
    """Returns the frames of each split, by class folder and name."""
    root = _root(data_dir)
    faces = {split: list(cls._of_split(root, split)) for split in FOLDERS}
    return {
      **image_files.without_validation(faces["train"]),
      "test": faces["test"],
    }

  @classmethod
  def remarks(cls, data_dir: user_files.Path) -> list[str]:
    """Says what of the class folders is not read."""
    read = cls.source_files(data_dir)
    places = [_place(_root(data_dir), split) for split in FOLDERS]
    return [line for p in places if p for line in listing.unread(p, read)]

  @classmethod
  def _of_split(
    cls, root: user_files.Path, split: str
  ) -> Iterator[image_files.Entry]:
    place = _place(root, split)
    own = listing.folders(place) if place else []
    class_names.require_distinct((path.name for path in own), str(place))
    for folder in own:
      label = class_names.index_in(cls.CLASS_NAMES, folder.name)
      if label is None:
        continue
      for path in image_folder.images(folder):
        # Without the names of the class folders, which copies write anew.
        name = f"{split}/{cls.CLASS_NAMES[label]}/{path.stem}"
        yield image_files.Entry(path, label, name)


def _root(data_dir: user_files.Path) -> user_files.Path:
  root = listing.root(data_dir, lambda folder: bool(_place(folder, "train")))
  if root:
    return root
  raise builder.missing_set_error(
    "SFEW",
    data_dir,
    looked_for="Train/ and Val/ with class folders",
    how_to_get=HOW_TO_GET,
  )


def _place(root: user_files.Path, split: str) -> user_files.Path | None:
  """Returns the folder of a split's class folders, which may lie in another."""
  place = listing.child(root, FOLDERS[split])
  inner = listing.child(place, FOLDERS[split]) if place else None
  for folder in (inner, place):
    if folder and any(
      class_names.index_in(Sfew.CLASS_NAMES, path.name) is not None
      for path in listing.folders(folder)
    ):
      return folder
  return None
