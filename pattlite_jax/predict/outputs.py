"""The files that rows go to, and how a killed run goes on with them."""

import csv
import json
import pathlib
import re
import sys
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO

from pattlite_jax.predict import rows
from pattlite_jax.predict.rows import Result
from pattlite_jax.runtime import durable
from pattlite_jax.runtime.errors import UserError

STDOUT = "-"


class Output:
  """A file of rows.

  Args:
    path: of the file, or "-" for standard output.
    header: its first line, if it has one.
    line: what it holds of a result.
    start: what every such file begins with.
    file_of: the name in a line that `line` wrote, and whether it says that the
      file could not be read.

  Raises:
    UserError: for a path that is not of this machine.
  """

  def __init__(
    self,
    path: str,
    *,
    header: str,
    start: str,
    line: Callable[[Result], str],
    file_of: Callable[[str], tuple[str, bool]],
  ):
    if not durable.is_local(path):
      raise UserError(f"{path}: rows are written to files of this machine.")
    self.path = path
    self._header, self._start = header, start.encode()
    self._line, self._file_of = line, file_of
    self._file: IO[str] | None = None
    self.done: set[str] = set()  # Names of files whose rows are all there.
    self.unreadable: set[str] = set()  # Of files that could not be read.
    self.last: str | None = None  # That of the last rows, maybe not all.
    self._last_at = self._end = 0  # Bytes before those, and to their end.

  def scan(self) -> None:
    """Reads what an earlier run wrote.

    Raises:
      UserError: if it is something else.
    """
    path = self._path()
    if self.path == STDOUT or not _has_content(path):
      return
    with path.open("rb") as file:
      begins = file.read(len(self._start))
      # A killed run may not have written the whole of its first line.
      if not self._start.startswith(begins):
        raise UserError(
          f"{path} begins with {begins!r}, but this run writes "
          f"{self._start!r}; name another file."
        )
      file.seek(0)
      records = _records(file)
      if self._header:
        self._end = self._last_at = len(next(records, b""))
      for record in records:
        self._note(record)

  def _note(self, record: bytes) -> None:
    try:
      name, failed = self._file_of(record.decode("utf-8"))
    except (ValueError, KeyError, IndexError) as error:
      raise UserError(
        f"{self.path} holds {record[:60]!r}, which this run did not write "
        f"({str(error).rstrip('.')}); name another file."
      ) from error
    if failed:
      self.unreadable.add(name)
    if name != self.last:
      if self.last is not None:
        self.done.add(self.last)
      self.last, self._last_at = name, self._end
    self._end += len(record)

  def open(self, *, drop_last: bool) -> None:
    """Opens the file, behind what is kept of an earlier run.

    `drop_last` forgets the rows of its last file, which may not be all.
    """
    if self.path == STDOUT:
      self._file = sys.stdout
      self._write(self._header)
      return
    if drop_last:
      self._end = self._last_at
    elif self.last is not None:
      self.done.add(self.last)
    path = self._path()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
      with path.open("r+b") as file:
        file.truncate(self._end)
    self._file = path.open("a", encoding="utf-8", newline="")
    if not self._end:
      self._write(self._header)

  def require_new(self) -> None:
    """Raises UserError if there is something in the file already."""
    path = self._path()
    if self.path != STDOUT and _has_content(path):
      raise UserError(
        f"{path} is there already: pass --resume to go on with it, or remove "
        "it first."
      )

  def add(self, result: Result) -> None:
    """Writes the rows of a result, unless an earlier run has."""
    if result.file not in self.done:
      self._write(self._line(result))

  def close(self) -> None:
    """Closes the file."""
    if self._file and self._file is not sys.stdout:
      self._file.close()

  def _write(self, text: str) -> None:
    assert self._file
    self._file.write(text)
    self._file.flush()

  def _path(self) -> pathlib.Path:
    return pathlib.Path(self.path).expanduser()


def open_all(outputs: list[Output], *, resume: bool) -> None:
  """Opens all outputs of a run.

  The last file that an earlier run wrote of is done again, unless another
  output shows that the run had gone on to the next.

  Raises:
    UserError: if a file is there without `resume`, or is another's.
  """
  if not resume:
    for output in outputs:
      output.require_new()
  else:
    for output in outputs:
      output.scan()
  finished = [output.done.copy() for output in outputs]
  for output in outputs:
    others = [
      names
      for other, names in zip(outputs, finished, strict=True)
      if other is not output
    ]
    is_whole = any(output.last in names for names in others)
    output.open(drop_last=not is_whole)


def are_done(outputs: list[Output], file: str) -> bool:
  """Whether an earlier run has written all rows of a file."""
  return bool(outputs) and all(file in output.done for output in outputs)


def csv_output(path: str, class_names: tuple[str, ...]) -> Output:
  """Returns the file of --csv."""
  header = rows.csv_header(class_names)
  return Output(
    path,
    header=header,
    start=header,
    line=lambda result: rows.csv_rows(result, class_names),
    file_of=lambda text: rows.file_of(next(csv.reader([text]))),
  )


def json_output(path: str, about: dict) -> Output:
  """Returns the file of --json; `about` is in each line.

  Only what the same network and detector wrote can be gone on with.
  """

  def file_of(text: str) -> tuple[str, bool]:
    line = json.loads(text)
    if any(line[name] != value for name, value in about.items()):
      raise ValueError("It is of another network or detector.")
    return line["file"], line["error"] is not None

  return Output(
    path,
    header="",
    start='{"file": ',
    line=lambda result: rows.json_line(result, about),
    file_of=file_of,
  )


def _has_content(path: pathlib.Path) -> bool:
  return path.is_file() and path.stat().st_size > 0


def _records(file: BinaryIO) -> Iterator[bytes]:
  """Yields whole lines; those that a quoted cell breaks are one.

  JSON escapes the quotes of its texts, and never breaks a line.
  """
  record = b""
  for line in file:
    record += line
    is_json = record.startswith(b"{")
    quotes = 0 if is_json else len(re.findall(b'"', record))
    if line.endswith(b"\n") and quotes % 2 == 0:
      yield record
      record = b""
