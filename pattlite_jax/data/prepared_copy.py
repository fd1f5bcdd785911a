"""A prepared copy of a data set: is it one, before TFDS reads it?"""

import contextlib
import pathlib
import textwrap
from collections.abc import Iterator

from pattlite_jax.data import user_files
from pattlite_jax.runtime.errors import FileError, UserError

_MAX_INFO = 10_000_000  # Bytes of a JSON file; FER2013's has 3,000.
_HEADER, _FOOTER = 12, 4  # Bytes around a record: its length, two checksums.


@contextlib.contextmanager
def errors_about(name: str, folder: str) -> Iterator[None]:
  """Says of what goes wrong with a prepared copy where it lies.

  Raises:
    FileError: in place of any other error.
  """
  try:
    yield
  except FileError:
    raise
  except Exception as error:  # Broken files make TFDS raise errors of any kind.
    reason = textwrap.shorten(str(error), 300) or type(error).__name__
    if not isinstance(error, UserError):
      reason = f"{type(error).__name__}: {reason}"
    raise FileError(
      f"The prepared copy of {name} in {folder} is damaged ({reason}). Delete "
      "that folder; the next start makes it again."
    ) from error


def require_plain(folder: str) -> None:
  """Raises ValueError for what TFDS never writes, and would wait for or load.

  Only local files are looked at.
  """
  for path in _files(folder):
    if not path.is_file():
      raise ValueError(f"{path.name} is no plain file")
    size = path.stat().st_size
    if path.suffix == ".json" and size > _MAX_INFO:
      raise ValueError(f"{path.name} has {size:,} bytes")


def require_whole(folder: str) -> None:
  """Raises ValueError for a record that is longer than its local file.

  TensorFlow takes its word, and memory for it.
  """
  for path in _files(folder):
    if ".tfrecord" in path.name:
      with user_files.open_bytes(path) as file:
        _walk(file, path.stat().st_size, path.name)


def _files(folder: str) -> Iterator[pathlib.Path]:
  if "://" in folder:
    return
  for path in sorted(pathlib.Path(folder).rglob("*")):
    # What another process is writing, or left when it was killed.
    if not (path.is_dir() or any("incomplete" in p for p in path.parts)):
      yield path


def _walk(file, size: int, name: str) -> None:
  place = 0
  while place < size:
    file.seek(place)
    length = int.from_bytes(file.read(_HEADER)[:8], "little")
    place += _HEADER + length + _FOOTER
  if place != size:
    raise ValueError(f"{name}: a record is longer than its file")
