"""The folder of a prepared copy of a data set: made once, looked at, read.

TFDS writes to a folder beside it, `incomplete.*`, which it renames at the end,
so what is found under the final name is whole.
"""

import contextlib
import fcntl
import os
import pathlib
import textwrap
from collections.abc import Iterator
from typing import Any

from absl import logging
from etils import epath

from pattlite_jax.data import user_files
from pattlite_jax.runtime import durable
from pattlite_jax.runtime.errors import FileError, UserError

_MAX_INFO = 10_000_000  # Bytes of a JSON file; FER2013's has 3,000.
HEADER, FOOTER = 12, 4  # Bytes around a record: its length, two checksums.


def write(builder: Any) -> Any:
  """Writes a TFDS builder's set, if it is not there; returns a builder of it.

  Raises:
    FileError: if there can be no such folder.
    UserError, OSError: as the builder.
  """
  import tensorflow_datasets as tfds

  options = tfds.download.DownloadConfig(try_download_gcs=False)
  with _made_alone(builder.data_path):
    try:
      if not builder.data_path.exists():  # Another process has made it.
        builder.download_and_prepare(download_config=options)
    except OSError:
      # Or made it meanwhile, where there are no locks.
      if not builder.data_path.exists():
        raise
  durable.sync_tree(builder.data_path)
  return type(builder)(
    data_dir=builder.data_dir_root, config=builder.builder_config
  )


@contextlib.contextmanager
def _made_alone(copy: epath.Path) -> Iterator[None]:
  """Keeps other processes from making the copy; waits for one that does.

  Removes what processes have left that were killed while they made it. Without
  locks, as in a bucket, others are not kept from it and nothing is removed.

  Raises:
    FileError: if there can be no such folder.
  """
  folder = copy.parent
  if not durable.is_local(folder):
    yield
    return
  try:
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
  except OSError as error:
    raise FileError(
      f"The prepared copy of the data set cannot be written to {folder} "
      f"({error.strerror}). Make that folder writable, or set HOME to a home "
      "folder that is.",
      setting="data.prepared_dir",
    ) from error
  try:
    if _lock(file, folder):
      _remove_remains(folder)
    yield
  finally:
    os.close(file)  # Which unlocks it; so does the end of the process.


def _lock(file: int, folder: epath.Path) -> bool:
  """Returns False where the file system has no locks."""
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    logging.warning("Another process prepares %s; waiting for it.", folder)
    fcntl.flock(file, fcntl.LOCK_EX)
  except OSError:
    return False
  return True


def _remove_remains(folder: epath.Path) -> None:
  for path in folder.glob("incomplete.*"):
    path.rmtree()
    logging.warning("Removed %s, left by a process that was killed.", path)


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


def require_whole(path: str) -> None:
  """Raises ValueError for a record that is longer than its local file.

  TensorFlow takes its word, and memory for it.
  """
  if not durable.is_local(path):
    return
  file = pathlib.Path(path)
  with user_files.open_bytes(file) as opened:
    place, size = 0, file.stat().st_size
    while place < size:
      opened.seek(place)
      length = int.from_bytes(opened.read(HEADER)[:8], "little")
      place += HEADER + length + FOOTER
  if place != size:
    raise ValueError(f"{file.name}: a record is longer than its file")


def _files(folder: str) -> Iterator[pathlib.Path]:
  if not durable.is_local(folder):
    return
  for path in sorted(pathlib.Path(folder).rglob("*")):
    # What another process is writing, or left when it was killed.
    if not (path.is_dir() or any("incomplete" in p for p in path.parts)):
      yield path
