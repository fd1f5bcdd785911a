"""FER+: the images of FER2013 with ten votes for each (microsoft/FERPlus).

Class counts: counted in fer2013new.csv of that repository.
"""

import collections
import functools
import reprlib
from collections.abc import Iterable, Iterator
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float32, Int32

from pattlite_jax.data import user_files
from pattlite_jax.data.readers import (
  builder,
  fer2013,
  fer2013_files,
  fer2013_folders,
)
from pattlite_jax.data.readers.csv_rows import csv_rows
from pattlite_jax.runtime.errors import UserError

VOTES_NAME = "fer2013new.csv"
CLASS_NAMES = (
  "neutral",
  "happiness",
  "surprise",
  "sadness",
  "anger",
  "disgust",
  "fear",
  "contempt",
)
VOTE_COLUMNS = (*CLASS_NAMES, "unknown", "NF")  # NF: not a face.
RULES = ("majority", "argmax")
DROPPED = -1
NUM_VOTES = 10  # For each image, over all columns.
_POSSIBLE_VOTES = {str(count) for count in range(NUM_VOTES + 1)}
_POSSIBLE_TOTALS = (NUM_VOTES - 1, NUM_VOTES)  # A published row has 9.
HOW_TO_GET = (
  f"{fer2013.HOW_TO_GET} Put fer2013new.csv from "
  "https://github.com/microsoft/FERPlus next to it."
)


class FerPlus(builder.FaceBuilder, skip_registration=True):
  """FER+; the configuration is the rule that makes a label of the votes."""

  BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
    tfds.core.BuilderConfig(
      name="majority", description="The rule of microsoft/FERPlus."
    ),
    tfds.core.BuilderConfig(
      name="argmax", description="The most voted of the ten columns."
    ),
  ]
  VERSION = tfds.core.Version("1.1.0")  # Since which it keeps the votes.
  CLASS_NAMES = CLASS_NAMES
  HAS_TARGETS = True
  IMAGE_SHAPE = (fer2013.SIZE, fer2013.SIZE, 1)
  HOMEPAGE = "https://github.com/microsoft/FERPlus"
  PUBLISHED_COUNTS_OF_RULE: ClassVar[dict[str, builder.Counts]] = {
    "majority": {
      "train": (8740, 7287, 3149, 3014, 2100, 119, 532, 119),
      "validation": (1182, 865, 415, 351, 287, 24, 62, 13),
      "test": (1090, 893, 396, 384, 273, 18, 83, 16),
    },
    "argmax": {
      "train": (10309, 7528, 3562, 3515, 2467, 191, 652, 165),
      "validation": (1335, 899, 456, 412, 319, 34, 74, 24),
      "test": (1262, 928, 444, 444, 325, 23, 93, 27),
    },
  }

  @classmethod
  def source_files(cls, data_dir: user_files.Path) -> list[user_files.Path]:
    """Returns the csv of FER2013 and that of the votes."""
    if data_dir.is_file():
      raise builder.missing_set_error(
        "FER+",
        data_dir,
        looked_for=f"a folder of two files, such as {data_dir.parent}",
        how_to_get=HOW_TO_GET,
      )
    csv_path = fer2013_files.find(data_dir)
    votes_path = fer2013_files.find(data_dir, (VOTES_NAME,))
    if csv_path and votes_path:
      return [csv_path, votes_path]
    names = VOTES_NAME if csv_path else " or ".join(fer2013_files.CSV_NAMES)
    remedy = ""
    if not csv_path and fer2013_folders.find(data_dir):
      remedy = "The image folders have not the order that the votes need."
    raise builder.missing_set_error(
      "FER+",
      data_dir,
      looked_for=names,
      remedy=remedy,
      how_to_get=HOW_TO_GET,
    )

  def published_counts(self) -> builder.Counts:
    """Returns the class counts of the rule."""
    return self.PUBLISHED_COUNTS_OF_RULE[self.builder_config.name]

  def faces(
    self, data_dir: user_files.Path
  ) -> dict[str, Iterable[builder.Face]]:
    """Returns the faces of each split that the rule gives a label."""
    csv_path, votes_path = self.source_files(data_dir)
    rows = fer2013.read_rows(csv_path)
    usages, names, votes = read_votes(votes_path)
    _check_same_rows(csv_path, rows.usages, votes_path, usages)
    labels = label_from_votes(votes, self.builder_config.name)
    ids = _unique_ids(names, rows.ids)
    targets = targets_from_votes(votes)
    return {
      split: _faces_of_usage(rows, labels, targets, ids, usage)
      for usage, split in fer2013.SPLIT_OF_USAGE.items()
    }


def read_votes(
  path: user_files.Path,
) -> tuple[list[str], list[str], Int32[np.ndarray, "N 10"]]:
  """Reads fer2013new.csv: usages, image names ("" if none) and votes.

  Row n belongs to row n of fer2013.csv; the number in a name does not.
  """
  usages, names, votes = [], [], []
  columns = ("Usage", "Image name", *VOTE_COLUMNS)
  open_text = functools.partial(fer2013_files.open_text, names=(VOTES_NAME,))
  for line, (usage, name, *counts) in csv_rows(
    path, columns, open_text=open_text
  ):
    fer2013.check_usage(usage, f"{path}, line {line}")
    for column, count in zip(VOTE_COLUMNS, counts, strict=True):
      if count not in _POSSIBLE_VOTES:
        raise UserError(
          f"{path}, line {line}: {column} has {reprlib.repr(count)} votes, but "
          f"must have 0 to {NUM_VOTES}."
        )
    total = sum(map(int, counts))
    if total not in _POSSIBLE_TOTALS:
      raise UserError(
        f"{path}, line {line}: the votes add up to {total}, but {NUM_VOTES} "
        "people voted."
      )
    usages.append(usage)
    names.append(name.removesuffix(".png"))
    votes.append([int(count) for count in counts])
  shape = (-1, len(VOTE_COLUMNS))
  return usages, names, np.array(votes, np.int32).reshape(shape)


def label_from_votes(
  votes: Int32[np.ndarray, "N 10"], rule: str
) -> Int32[np.ndarray, "N"]:
  """Returns the label of each row of votes, or `DROPPED`.

  `majority` is the rule of the released code: single votes are removed, then
  the top column must have more than half of what remains. `argmax` takes the
  column with most votes, the first of equals. Both drop images whose result
  is unknown or not a face.
  """
  if rule not in RULES:
    raise UserError(f"The FER+ rule is {rule!r}, but must be one of {RULES}.")
  if rule == "majority":
    votes = np.where(votes <= 1, 0, votes)
  top = votes.argmax(axis=1)
  keep = top < len(CLASS_NAMES)
  if rule == "majority":
    keep &= 2 * votes.max(axis=1) > votes.sum(axis=1)
  return np.where(keep, top, DROPPED).astype(np.int32)


def targets_from_votes(
  votes: Int32[np.ndarray, "N 10"],
) -> Float32[np.ndarray, "N 8"]:
  """Returns the share of each class in the votes that name a class.

  Votes for unknown and not a face are left out, and nothing else; rows of
  them alone, which no rule keeps, are zero.
  """
  classes = votes[:, : len(CLASS_NAMES)]
  total = np.maximum(classes.sum(axis=1, keepdims=True), 1)
  return (classes / total).astype(np.float32)


def _check_same_rows(
  csv_path: user_files.Path,
  csv_usages: list[str],
  votes_path: user_files.Path,
  votes_usages: list[str],
) -> None:
  """Raises UserError unless the two files belong together, row by row."""
  cure = (
    "The files are joined by row, so both in the data directory must be the "
    "original ones."
  )
  for row, (usage, other) in enumerate(
    zip(csv_usages, votes_usages, strict=False), start=1
  ):
    if usage != other:
      raise UserError(
        f"Row {row} has Usage {usage!r} in {csv_path}, but {other!r} in "
        f"{votes_path}. {cure}",
        setting="data.dir",
      )
  if len(csv_usages) != len(votes_usages):
    first_alone = min(len(csv_usages), len(votes_usages)) + 1
    raise UserError(
      f"{csv_path} has {len(csv_usages):,} rows, but {votes_path} has "
      f"{len(votes_usages):,}: row {first_alone:,} is in one of them only. "
      f"{cure}",
      setting="data.dir",
    )


def _unique_ids(names: list[str], row_ids: list[str]) -> list[str]:
  """Returns the image names; the second of equal names ends in "-2".

  A row without a name is called after its row in fer2013.csv.
  """
  seen = collections.Counter()
  ids = []
  for name, row_id in zip(names, row_ids, strict=True):
    seen[name] += 1
    if not name:
      ids.append(row_id)
    elif seen[name] == 1:
      ids.append(name)
    else:
      ids.append(f"{name}-{seen[name]}")
  return ids


def _faces_of_usage(
  rows: fer2013.Rows,
  labels: Int32[np.ndarray, "N"],
  targets: Float32[np.ndarray, "N 8"],
  ids: list[str],
  wanted: str,
) -> Iterator[builder.Face]:
  for usage, image, label, shares, face_id in zip(
    rows.usages, rows.images, labels, targets, ids, strict=True
  ):
    if usage == wanted and label != DROPPED:
      yield builder.Face(image, int(label), face_id, shares)
