"""Reads the rows of a data set's csv, each with the number of its line."""

import csv
import io
import itertools
import reprlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from pattlite_jax.data import user_files
from pattlite_jax.runtime.errors import UserError

OpenText = Callable[[user_files.Path], AbstractContextManager[io.TextIOBase]]
MAX_LINE = 100_000  # Characters; a row of FER2013 has at most 9,300.


def csv_rows(
  path: user_files.Path,
  columns: tuple[str, ...],
  *,
  optional: tuple[str, ...] = (),
  open_text: OpenText = user_files.open_text,
) -> Iterator[tuple[int, list[str]]]:
  """Yields the line number and the fields of `columns` of each row.

  Columns are found by name, in any order and letter case, with spaces around
  the names. Those of `optional` follow; they are "" where the file lacks them.

  Raises:
    UserError: if a column is missing, or for the first row that is broken.
  """
  # utf-8-sig drops a byte-order mark; a bad byte becomes a bad value below.
  with open_text(path) as file:
    rows = _rows(file, path)
    header = [name.strip() for name in next(rows, (1, []))[1]]
    written = [name.casefold() for name in header]
    missing = [name for name in columns if name.casefold() not in written]
    if missing:
      found = [reprlib.repr(name) for name in header[:12]]
      # As Excel writes it in many languages, or in UTF-16.
      joined = "".join(header)
      names = joined.replace("\0", "").casefold()
      is_odd = len(header) == 1 or "\0" in joined
      if is_odd and all(name.casefold() in names for name in columns):
        raise UserError(
          f"{path} is no list with commas between its columns: its first line "
          f"is {found[0]}. Save it as CSV with commas, in UTF-8.",
          setting="data.dir",
        )
      raise UserError(
        f"{path} lacks the columns {missing}; it has "
        f"{', '.join(found) or 'none'}. The data directory must hold the "
        "original file.",
        setting="data.dir",
      )
    positions = [
      written.index(name.casefold()) if name.casefold() in written else None
      for name in (*columns, *optional)
    ]
    for line, row in rows:
      if len(row) != len(header):
        raise UserError(
          f"{path}, line {line}: {len(row)} fields, but the header has "
          f"{len(header)}."
        )
      yield line, ["" if p is None else row[p].strip() for p in positions]


def _rows(
  file: io.TextIOBase, path: user_files.Path
) -> Iterator[tuple[int, list[str]]]:
  """Yields the fields of each row that is not blank, and its first line."""
  reader = csv.reader(_lines(file, path), strict=True)
  while True:
    line = reader.line_num + 1
    try:
      row = next(reader, None)
    except csv.Error as error:
      raise UserError(
        f"{path}, line {line}: {error}; are its quotes right?"
      ) from error
    if row is None:
      return
    if row:
      yield line, row


def _lines(file: io.TextIOBase, path: user_files.Path) -> Iterator[str]:
  """Yields the lines; a file without line ends is not read to memory whole."""
  for number in itertools.count(1):
    line = file.readline(MAX_LINE + 1)
    if not line:
      return
    if len(line) > MAX_LINE:
      raise UserError(
        f"{path}, line {number} has more than {MAX_LINE:,} characters; it is "
        "not a csv of a data set."
      )
    yield line
