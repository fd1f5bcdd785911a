"""FER2013: 48 x 48 grey faces, from the Kaggle contest's csv or image folders.

Class counts: several public copies of the labels agree; the total is 35,887.
"""

import collections
import reprlib
import warnings
from collections.abc import Iterable, Iterator
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8

from pattlite_jax.data import user_files
from pattlite_jax.data.readers import builder, fer2013_folders
from pattlite_jax.data.readers.csv_rows import csv_rows
from pattlite_jax.runtime.errors import UserError

SIZE = 48
CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
SPLIT_OF_USAGE = {
  "Training": "train",
  "PublicTest": "validation",
  "PrivateTest": "test",
}
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

  MANUAL_DOWNLOAD_INSTRUCTIONS = HOW_TO_GET
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
    csv_path = find_file(data_dir, CSV_NAMES)
    if csv_path:
      return [csv_path]
    files = [path for _, path, _ in fer2013_folders.folder_images(data_dir)]
    if not files:
      places = f"{data_dir} ({', '.join(CSV_NAMES)}, or train/ and test/)"
      raise builder.missing_files_error("FER2013", places, HOW_TO_GET)
    return files

  def faces(
    self, data_dir: user_files.Path
  ) -> dict[str, Iterable[builder.Face]]:
    """Returns the faces of each split, in the order of the file."""
    csv_path = find_file(data_dir, CSV_NAMES)
    if not csv_path:
      return fer2013_folders.folder_faces(data_dir)
    rows = read_rows(csv_path)
    return {
      split: _faces_of_usage(rows, usage)
      for usage, split in SPLIT_OF_USAGE.items()
    }


def find_file(
  data_dir: user_files.Path, names: tuple[str, ...]
) -> user_files.Path | None:
  """Returns the first of `names` in the folder or its fer2013/, if any."""
  for folder in (data_dir, data_dir / "fer2013"):  # The contest's archive.
    for name in names:
      if (folder / name).is_file():
        return folder / name
  return None


def read_rows(path: user_files.Path) -> Rows:
  """Reads fer2013.csv or icml_face_data.csv.

  Raises:
    UserError: for the first row that is broken, with its line number.
  """
  usages, ids, labels, images = [], [], [], []
  seen = collections.Counter()
  with warnings.catch_warnings():
    # NumPy before 2.3 only warns about text that is not a number.
    warnings.simplefilter("error", DeprecationWarning)
    for line, (emotion, pixels, usage) in csv_rows(
      path, ("emotion", "pixels", "Usage")
    ):
      where = f"{path}, line {line}"
      check_usage(usage, where)
      usages.append(usage)
      ids.append(f"{usage}-{seen[usage]:05d}")
      seen[usage] += 1
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
