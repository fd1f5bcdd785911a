"""Reads the rows of a data set's csv, each with the number of its line."""

import csv
import io
import itertools
import reprlib
from collections.abc import Iterator

from pattlite_jax.data import user_files
from pattlite_jax.runtime.errors import UserError

MAX_LINE = 100_000  # Characters; a row of FER2013 has at most 9,300.


def csv_rows(
  path: user_files.Path, columns: tuple[str, ...]
) -> Iterator[tuple[int, list[str]]]:
  """Yields the line number and the fields of `columns` of each row.

  Columns are found by name, in any order and with spaces around the names.

  Raises:
    UserError: if a column is missing, or for the first row that is broken.
  """
  # utf-8-sig drops a byte-order mark; a bad byte becomes a bad value below.
  with user_files.open_text(path) as file:
    rows = _rows(file, path)
    header = [name.strip() for name in next(rows, (1, []))[1]]
    missing = [name for name in columns if name not in header]
    if missing:
      found = [reprlib.repr(name) for name in header[:12]]
      raise UserError(
        f"{path} lacks the columns {missing}; it has "
        f"{', '.join(found) or 'none'}. The data directory must hold the "
        "original file.",
        setting="data.dir",
      )
    positions = [header.index(name) for name in columns]
    for line, row in rows:
      if len(row) != len(header):
        raise UserError(
          f"{path}, line {line}: {len(row)} fields, but the header has "
          f"{len(header)}."
        )
      yield line, [row[position].strip() for position in positions]


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
