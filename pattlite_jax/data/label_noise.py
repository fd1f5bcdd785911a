"""Wrong labels on purpose: a seeded flip, or labels from a file.

Training alone sees them. Whatever is scored, the training images too, is scored
by the data set's own labels.
"""

import pathlib
import reprlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from pattlite_jax.data import user_files
from pattlite_jax.data.examples import Examples
from pattlite_jax.runtime.errors import MissingFileError, UserError

_STREAM = 2**63  # Of random numbers; no epoch's order has this number.
_SETTING = "data.label_file"


def flip(
  labels: Int[np.ndarray, "N"], num_classes: int, share: float, seed: int
) -> Int[np.ndarray, "N"]:
  """Returns the labels with a share of them, rounded, made wrong.

  Which images, and which of the other classes each of them gets, is drawn
  uniformly from the seed (symmetric noise).
  """
  rng = np.random.default_rng([seed, _STREAM])
  rows = rng.permutation(len(labels))[: round(share * len(labels))]
  shifts = rng.integers(1, num_classes, size=len(rows))
  flipped = labels.copy()
  flipped[rows] = (labels[rows] + shifts) % num_classes
  return flipped


def read(path: str, splits: Mapping[str, Examples]) -> Int[np.ndarray, "N"]:
  """Returns the labels of the training images as a file has them.

  A line is the id of an image, with or without the ending of an image's file,
  and its label: a class name, or its number from 1, as in the lists of RAF-DB
  and of EAC's noisy copies of them (EmoLabel/noise01.txt). Spaces or a comma
  part the two. Training images without a line keep their labels; lines of the
  other splits have no effect.

  Raises:
    MissingFileError: if there is no file.
    UserError: for the first line that is broken, or names an unknown image or
      one twice; if no line is of a training image.
  """
  file = user_files.folder(path)
  if not file.is_file():
    raise MissingFileError(f"No file of labels at {file}.", setting=_SETTING)
  train = splits["train"]
  rows = {name: row for row, name in enumerate(train.ids.tolist())}
  others = {name for split in splits.values() for name in split.ids.tolist()}
  labels, seen = train.labels.copy(), set()
  for number, line in enumerate(user_files.read_text(file).splitlines(), 1):
    words = line.replace(",", " ").split()
    if not words:
      continue
    place = f"{file}, line {number} is {reprlib.repr(line.strip())}"
    name = _known(words[0], others)
    if name is None:
      raise UserError(
        f"{place}, but the data set has no image of this id; its ids are such "
        f"as {train.ids[0]!r}.",
        setting=_SETTING,
      )
    if name in seen:
      raise UserError(f"{place}, but an earlier line names this image too.")
    seen.add(name)
    label = _label(" ".join(words[1:]), train.class_names)
    if label is None:
      raise UserError(
        f"{place}, but must end in a number from 1 to "
        f"{len(train.class_names)} or one of {', '.join(train.class_names)}.",
        setting=_SETTING,
      )
    if name in rows:
      labels[rows[name]] = label
  if not seen & rows.keys():
    raise UserError(f"{file} names no training image.", setting=_SETTING)
  return labels


def _known(name: str, ids: set[str]) -> str | None:
  stem = pathlib.PurePath(name).stem
  return name if name in ids else stem if stem in ids else None


def _label(word: str, class_names: tuple[str, ...]) -> int | None:
  if word in class_names:
    return class_names.index(word)
  if word.isdecimal() and 1 <= int(word) <= len(class_names):
    return int(word) - 1
  return None
