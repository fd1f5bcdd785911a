"""The folder of a data set's prepared copy, which one process makes at a time.

TFDS writes to a folder beside it, `incomplete.*`, which it renames at the end.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from absl import logging
from etils import epath

from pattlite_jax.runtime import durable
from pattlite_jax.runtime.errors import FileError


@contextlib.contextmanager
def made_alone(copy: epath.Path) -> Iterator[None]:
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
