"""A user's own annotations of the training images: au.csv.

Its columns are id, one for each action unit of the face, valence and arousal.
Such annotations of FER2013, FER+ and RAF-DB are not public; a detector of
action units, such as OpenFace, can make them.
"""

import reprlib
from collections.abc import Mapping

import numpy as np

from pattlite_jax.data import user_files
from pattlite_jax.data.examples import Examples
from pattlite_jax.data.readers.csv_rows import csv_rows
from pattlite_jax.runtime.errors import MissingFileError, UserError

_SETTING = "data.au_file"
_AFFECT = ("valence", "arousal")


def columns(names: str) -> tuple[str, ...]:
  """Returns the columns that config.model.action_units names."""
  return tuple(name.strip() for name in names.split(",") if name.strip())


def read(
  path: str, names: tuple[str, ...], splits: Mapping[str, Examples]
) -> dict[str, np.ndarray]:
  """Returns the annotations of the training images, NaN where there are none.

  "action_units" f32[N, A] are 0 or 1, in the order of `names`; "affect"
  f32[N, 2] are valence and arousal in [-1, 1]. An empty cell is no annotation.
  Rows of images of other splits have no effect.

  Raises:
    MissingFileError: if there is no file.
    UserError: if a column is missing; for the first row that is broken, whose
      image is unknown or has a row already; if no row is of a training image.
  """
  file = user_files.folder(path)
  if not file.is_file():
    raise MissingFileError(f"No annotations at {file}.", setting=_SETTING)
  train = splits["train"]
  rows = {name: row for row, name in enumerate(train.ids.tolist())}
  others = {name for split in splits.values() for name in split.ids.tolist()}
  found = np.full((len(train), len(names) + 2), np.nan, np.float32)
  seen = set()
  for line, (name, *cells) in csv_rows(file, ("id", *names, *_AFFECT)):
    place = f"{file}, line {line}"
    if name not in others or name in seen:
      problem = "has a row already" if name in seen else "is of no image"
      raise UserError(
        f"{place}: the id {reprlib.repr(name)} {problem}; ids are such as "
        f"{train.ids[0]!r}.",
        setting=_SETTING,
      )
    seen.add(name)
    values = [
      _value(cell, column, place)
      for cell, column in zip(cells, (*names, *_AFFECT), strict=True)
    ]
    if name in rows:
      found[rows[name]] = values
  if not seen & rows.keys():
    raise UserError(f"{file} has no training image.", setting=_SETTING)
  return {"action_units": found[:, :-2], "affect": found[:, -2:]}


def _value(cell: str, column: str, place: str) -> float:
  if not cell:
    return np.nan
  try:
    value = float(cell)
  except ValueError:
    value = np.nan
  fits = abs(value) <= 1 if column in _AFFECT else value in (0, 1)
  if not fits:
    allowed = "from -1 to 1" if column in _AFFECT else "0 or 1"
    raise UserError(
      f"{place}: {column} is {reprlib.repr(cell)}, but must be {allowed}, or "
      "empty for no annotation.",
      setting=_SETTING,
    )
  return value
