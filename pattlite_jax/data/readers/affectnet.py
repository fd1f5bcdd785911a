"""AffectNet: 287,651 labelled faces in colour, with 8 or 7 classes.

Its published validation set, whose test labels are not handed out, is the test
split here; a tenth of the training images is validation, by RAF-DB's rule.

Class counts: as papers that use the set state them; they add up to the
published 287,651 and 283,901 training and 3,999 and 3,500 validation images.
"""

import concurrent.futures
import io
import reprlib
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from pattlite_jax.data import user_files
from pattlite_jax.data.readers import (
  affectnet_lists,
  builder,
  image_files,
  image_folder,
  listing,
)
from pattlite_jax.data.readers.held_out import held_out_size
from pattlite_jax.runtime.errors import UserError

CLASS_NAMES = (
  "neutral",
  "happiness",
  "sadness",
  "surprise",
  "fear",
  "disgust",
  "anger",
  "contempt",
)
TRAIN_COUNTS = (74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750)
TEST_COUNTS = (500, 500, 500, 500, 500, 500, 500, 499)
HOW_TO_GET = (
  "Ask the authors for AffectNet (http://mohammadmahoor.com/affectnet/) and "
  "unpack it, so that train_set/images and train_set/annotations are there, or "
  "Manually_Annotated_Images and Manually_Annotated_file_lists."
)
_SPLITS = {"train": "train_set", "test": "val_set"}
_READERS = 16  # Threads, as the labels lie in as many files as the images.


class AffectNet(image_files.ImageFiles, skip_registration=True):
  """AffectNet; the configuration is the number of classes."""

  CLASS_NAMES = CLASS_NAMES
  IMAGE_SHAPE = (None, None, 3)
  HOMEPAGE = "http://mohammadmahoor.com/affectnet/"
  VERSION = tfds.core.Version("1.1.0")  # Since which faces become squares.
  ANY_SIZE = True
  PUBLISHED_COUNTS: ClassVar[builder.Counts] = {
    "train": tuple(n - held_out_size(n) for n in TRAIN_COUNTS),
    "validation": tuple(held_out_size(n) for n in TRAIN_COUNTS),
    "test": TEST_COUNTS,
  }
  BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
    tfds.core.BuilderConfig(name="8", description="All eight expressions.")
  ]

  @classmethod
  def entries(cls, data_dir: user_files.Path) -> image_files.Splits:
    """Returns the faces of each split, by the names of the images."""
    official = listing.root(data_dir, _is_official)
    lists = listing.root(data_dir, affectnet_lists.is_root)
    if official:
      faces = {split: _official(official / f) for split, f in _SPLITS.items()}
    elif lists:
      faces = affectnet_lists.entries(lists)
    else:
      raise builder.missing_set_error(
        "AffectNet",
        data_dir,
        looked_for="train_set/images and val_set/images, or "
        "Manually_Annotated_file_lists",
        how_to_get=HOW_TO_GET,
      )
    kept = {
      split: [e for e in own if e.label < len(cls.CLASS_NAMES)]
      for split, own in faces.items()
    }
    return {
      **image_files.without_validation(kept["train"]),
      "test": kept["test"],
    }

  @classmethod
  def source_files(cls, data_dir: user_files.Path) -> list[user_files.Path]:
    """Returns images and labels, of which the official layout has very many.

    They are not read for it.
    """
    official = listing.root(data_dir, _is_official)
    if not official:
      return super().source_files(data_dir)
    folders = [official / folder / "images" for folder in _SPLITS.values()]
    images = [path for own in folders for path in image_folder.images(own)]
    return [*cls.lists(data_dir), *images]

  @classmethod
  def lists(cls, data_dir: user_files.Path) -> list[user_files.Path]:
    """Returns the labels: a file for each image, or the csv files."""
    official = listing.root(data_dir, _is_official)
    if official:
      return [
        path
        for folder in _SPLITS.values()
        for path in listing.children(official / folder / "annotations")
        if path.name.endswith("_exp.npy")
      ]
    root = listing.root(data_dir, affectnet_lists.is_root)
    return affectnet_lists.files(root) if root else []


class AffectNet7(AffectNet, skip_registration=True):
  """AffectNet without contempt."""

  CLASS_NAMES = CLASS_NAMES[:7]
  PUBLISHED_COUNTS: ClassVar[builder.Counts] = {
    split: counts[:7] for split, counts in AffectNet.PUBLISHED_COUNTS.items()
  }
  BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
    tfds.core.BuilderConfig(name="7", description="Without contempt.")
  ]


def _is_official(folder: user_files.Path) -> bool:
  return (folder / "train_set" / "images").is_dir()


def _official(folder: user_files.Path) -> list[image_files.Entry]:
  """Returns the faces of train_set or val_set; ids are train_set/12.jpg."""
  images = image_folder.images(folder / "images")
  labels = [folder / "annotations" / f"{i.stem}_exp.npy" for i in images]
  # The bytes alone: NumPy reads headers with `ast`, which fails now and then
  # in threads of Python 3.11.
  with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
    contents = pool.map(_content, labels)
    return [
      image_files.Entry(
        image, _label(content, path), f"{folder.name}/{image.name}"
      )
      for image, path, content in zip(images, labels, contents, strict=True)
    ]


def read_label(path: user_files.Path) -> int:
  """Reads a file such as 12_exp.npy, which holds one number, often as text.

  Raises:
    UserError: if it holds something else.
    MissingFileError: if it is not there.
  """
  return _label(_content(path), path)


def _content(path: user_files.Path) -> bytes:
  if not path.is_file():
    raise builder.missing_files_error("AffectNet label", path, HOW_TO_GET)
  try:
    with user_files.open_bytes(path) as file:
      return file.read(1000)  # The real ones have 132 bytes.
  except OSError as error:
    raise UserError(f"{path} cannot be read: {error}.") from error


def _label(content: bytes, path: user_files.Path) -> int:
  try:
    found = np.load(io.BytesIO(content), allow_pickle=False)
    text = str(found.item())
  except (EOFError, OSError, SyntaxError, ValueError) as error:
    raise UserError(
      f"{path} cannot be read as a label "
      f"({' '.join(str(error).split())[:200]})."
    ) from error
  if text not in {"0", "1", "2", "3", "4", "5", "6", "7"}:
    raise UserError(
      f"{path} holds {reprlib.repr(text)}, but must hold a label from 0 to 7."
    )
  return int(text)
