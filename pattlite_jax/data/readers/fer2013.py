"""FER2013: 48 x 48 grey faces, from the Kaggle contest's csv or image folders.

Kaggle's train.csv, which lacks the other splits, is read if there is no more.

Class counts: several public copies of the labels agree; the total is 35,887.
"""

import collections
import reprlib
import warnings
from collections.abc import Iterable, Iterator
from typing import ClassVar, NamedTuple

import numpy as np
from absl import logging
from jaxtyping import Int32, UInt8

from pattlite_jax.data import user_files
from pattlite_jax.data.readers import (
  builder,
  fer2013_files,
  fer2013_folders,
  listing,
)
from pattlite_jax.data.readers.csv_rows import csv_rows
from pattlite_jax.data.readers.held_out import held_out
from pattlite_jax.runtime.errors import UserError

SIZE = 48
SPLIT_OF_USAGE = {
  "Training": "train",
  "PublicTest": "validation",
  "PrivateTest": "test",
}
MAX_ROWS = 200_000  # 460 MB; FER2013 has 35,887.
HOW_TO_GET = (
  "Get fer2013.csv (or icml_face_data.csv) from the Kaggle contest "
  "'Challenges in Representation Learning: Facial Expression Recognition "
  "Challenge'."
)


class Rows(NamedTuple):
  """The N rows of the csv, in the order of the file."""

  usages: list[str]  # "Training", "PublicTest" or "PrivateTest".
  ids: list[str]  # Such as "Training-00017": the number within its usage.
  labels: Int32[np.ndarray, "N"]
  images: UInt8[np.ndarray, "N 48 48 1"]


class Fer2013(builder.FaceBuilder, skip_registration=True):
  """FER2013; splits as in the contest, unless only image folders are there."""

  CLASS_NAMES = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
    "neutral",
  )
  IMAGE_SHAPE = (SIZE, SIZE, 1)
  HOMEPAGE = (
    "https://www.kaggle.com/c/challenges-in-representation-learning-"
    "facial-expression-recognition-challenge"
  )
  PUBLISHED_COUNTS: ClassVar[builder.Counts] = {
    "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "validation": (467, 56, 496, 895, 653, 415, 607),
    "test": (491, 55, 528, 879, 594, 416, 626),
  }

  @classmethod
  def source_files(cls, data_dir: user_files.Path) -> list[user_files.Path]:
    """Returns the csv, or the images of the folder copy."""
    csv_path = fer2013_files.find(data_dir)
    if csv_path:
      return [csv_path]
    root = fer2013_folders.find(data_dir)
    if root:
      return [path for _, path, _ in fer2013_folders.folder_images(root)]
    kaggle = fer2013_files.find_kaggle_train(data_dir)
    if kaggle:
      return [kaggle]
    names = ", ".join(fer2013_files.CSV_NAMES)
    raise builder.missing_set_error(
      "FER2013",
      data_dir,
      looked_for=f"{names}, or train/ and test/",
      remedy=fer2013_folders.too_deep(data_dir),
      how_to_get=HOW_TO_GET,
    )

  @classmethod
  def remarks(cls, data_dir: user_files.Path) -> list[str]:
    """Says what of the image folders is not read."""
    files = cls.source_files(data_dir)
    root = fer2013_folders.find(data_dir)
    if not root or files[0].suffix.lower() == ".csv":
      return []
    return listing.unread(root, files)

  def faces(
    self, data_dir: user_files.Path
  ) -> dict[str, Iterable[builder.Face]]:
    """Returns the faces of each split, in the order of the file."""
    csv_path = fer2013_files.find(data_dir)
    root = fer2013_folders.find(data_dir)
    if root and not csv_path:
      return fer2013_folders.folder_faces(root, self.read_faces)
    if csv_path:
      return _splits(read_rows(csv_path))
    (path,) = self.source_files(data_dir)
    rows = read_rows(path, usage="Training")
    return _with_validation(path, rows, _splits(rows))


def _splits(rows: Rows) -> dict[str, Iterable[builder.Face]]:
  return {
    split: _faces_of_usage(rows, usage)
    for usage, split in SPLIT_OF_USAGE.items()
  }


def _with_validation(
  path: user_files.Path, rows: Rows, splits: dict[str, Iterable[builder.Face]]
) -> dict[str, Iterable[builder.Face]]:
  """Takes a validation split out of the training rows; warns that it did."""
  logging.warning(
    "fer2013: %s has the training rows alone, so a tenth of them is held out "
    "for validation and there is no test split (the labels of Kaggle's "
    "test.csv are not in it). Use fer2013.csv for the official splits.",
    path,
  )
  labels = dict(zip(rows.ids, rows.labels.tolist(), strict=True))
  chosen = held_out(labels)
  train = list(splits["train"])
  return {
    **splits,
    "train": [face for face in train if face.id not in chosen],
    "validation": [face for face in train if face.id in chosen],
  }


def read_rows(
  path: user_files.Path, usage: str = "", max_rows: int = MAX_ROWS
) -> Rows:
  """Reads fer2013.csv or icml_face_data.csv, also from an archive.

  `usage` is that of all rows of a file without the column.

  Raises:
    UserError: for the first row that is broken, with its line number.
  """
  usages, ids, labels, images = [], [], [], []
  seen = collections.Counter()
  with warnings.catch_warnings():
    # NumPy before 2.3 only warns about text that is not a number.
    warnings.simplefilter("error", DeprecationWarning)
    columns = ("emotion", "pixels") if usage else ("emotion", "pixels", "Usage")
    for line, (emotion, pixels, own) in csv_rows(
      path,
      columns,
      optional=("Usage",) if usage else (),
      open_text=fer2013_files.open_text,
    ):
      where = f"{path}, line {line}"
      own = own or usage
      check_usage(own, where)
      if len(images) == max_rows:
        raise UserError(f"{path} has more than {max_rows:,} rows.")
      usages.append(own)
      ids.append(f"{own}-{seen[own]:05d}")
      seen[own] += 1
      labels.append(_parse_label(emotion, where))
      images.append(_parse_pixels(pixels, where))
  if not images:
    raise UserError(
      f"{path} has a header but no rows. The data directory must hold the "
      "whole file.",
      setting="data.dir",
    )
  stacked = np.stack(images).reshape(-1, SIZE, SIZE, 1)
  return Rows(usages, ids, np.array(labels, np.int32), stacked)


def check_usage(usage: str, where: str) -> None:
  """Raises UserError unless `usage` is one of the contest's three."""
  if usage not in SPLIT_OF_USAGE:
    raise UserError(
      f"{where}: Usage is {reprlib.repr(usage)}, but must be one of "
      f"{list(SPLIT_OF_USAGE)}."
    )


def _parse_label(text: str, where: str) -> int:
  if text not in {"0", "1", "2", "3", "4", "5", "6"}:
    raise UserError(
      f"{where}: emotion is {reprlib.repr(text)}, but must be 0 to 6."
    )
  return int(text)


def _parse_pixels(text: str, where: str) -> UInt8[np.ndarray, "2304"]:
  try:
    pixels = np.fromstring(text, dtype=np.int64, sep=" ")
  except (ValueError, DeprecationWarning) as error:
    raise UserError(
      f"{where}: pixels must be whole numbers with a space between them, but "
      f"something else is among them ({error})."
    ) from error
  if pixels.size != SIZE * SIZE:
    raise UserError(
      f"{where}: {pixels.size} pixels, but an image has {SIZE * SIZE} "
      f"({SIZE} x {SIZE})."
    )
  if pixels.min() < 0 or pixels.max() > 255:
    raise UserError(
      f"{where}: pixels range from {pixels.min()} to {pixels.max()}, but must "
      "lie in 0 to 255."
    )
  return pixels.astype(np.uint8)


def _faces_of_usage(rows: Rows, wanted: str) -> Iterator[builder.Face]:
  for usage, face_id, label, image in zip(
    rows.usages, rows.ids, rows.labels, rows.images, strict=True
  ):
    if usage == wanted:
      yield builder.Face(image, int(label), face_id)
