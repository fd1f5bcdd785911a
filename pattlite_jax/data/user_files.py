"""The files that a user downloaded: in a local folder or in a bucket.

Paths in buckets open as bytes alone and know no encodings, so all data sets
read through these functions.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pattlite_jax.runtime import durable
from pattlite_jax.runtime.errors import FileError
from pattlite_jax.runtime.lazy import epath

if TYPE_CHECKING:
  Path = pathlib.Path | epath.Path  # Local, or in a bucket.


def __getattr__(name: str):  # Named when asked for, as it needs epath.
  if name == "Path":
    return pathlib.Path | epath.Path
  raise AttributeError(name)


def folder(name: str) -> Path:
  """Returns a folder from what a user wrote, such as ~/data or gs://b/data.

  Raises:
    UserError: if it is of neither kind, as https://...
  """
  if durable.is_local(name):
    return pathlib.Path(name).expanduser().resolve()
  return epath.Path(name)


def open_bytes(path: Path) -> io.BufferedReader | io.BytesIO:
  """Opens a file to be read from any place; one in a bucket is read whole.

  Raises:
    FileError: for a folder, a pipe or a device; a pipe would be waited for.
    OSError: if it cannot be opened.
  """
  if isinstance(path, pathlib.Path):
    if path.exists() and not path.is_file():
      raise FileError(f"{path} is no plain file, but a folder, pipe or device.")
    return path.open("rb")
  return io.BytesIO(path.read_bytes())


@contextlib.contextmanager
def open_text(path: Path) -> Iterator[io.TextIOBase]:
  """Opens UTF-8 text; drops a byte-order mark and keeps line ends.

  What is not UTF-8 becomes a replacement character, for the reader to refuse.
  """
  with (
    open_bytes(path) as file,
    io.TextIOWrapper(
      file, encoding="utf-8-sig", errors="replace", newline=""
    ) as text,
  ):
    yield text


def read_text(path: Path) -> str:
  """Returns the text of a file, as `open_text` decodes it."""
  with open_text(path) as file:
    return file.read()


def fingerprint(folder: Path, files: Sequence[Path]) -> str:
  """Returns a name that changes with any file's name, size or time."""
  digest = hashlib.sha256()
  for path in files:
    size, time = _size_and_time(path)
    name = path.relative_to(folder).as_posix()
    line = f"{name}\0{size}\0{time}\n"
    digest.update(line.encode("utf-8", "surrogateescape"))  # Any file's name.
  return digest.hexdigest()[:16]


def _size_and_time(path: Path) -> tuple[int, int]:
  if isinstance(path, pathlib.Path):
    # A link to nowhere counts as itself; who reads it says what it lacks.
    status = path.stat() if path.exists() else path.lstat()
    return status.st_size, status.st_mtime_ns
  remote = path.stat()
  return remote.length, remote.mtime
