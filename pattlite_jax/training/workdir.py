"""A run's folder belongs to one process at a time."""

import contextlib
import datetime
import fcntl
import os
import socket
from collections.abc import Iterator

from absl import logging
from etils import epath

from pattlite_jax.runtime import parallel
from pattlite_jax.runtime.errors import FileError

LOCK_FILE = "lock"


@contextlib.contextmanager
def held(workdir: str) -> Iterator[None]:
  """Makes the folder and keeps other processes from training in it.

  The operating system lets go of the lock when the process ends, however it
  ends. Of several hosts only the writing one takes it.

  Raises:
    FileError: if another process trains there.
    FileError: if the folder cannot be made or written to.
  """
  if not parallel.is_writer():
    yield
  elif "://" in workdir:
    epath.Path(workdir).mkdir(parents=True, exist_ok=True)
    logging.info("No lock: take care that nothing else runs in %s.", workdir)
    yield
  else:
    file = _open(workdir)
    try:
      _lock(file, workdir)
      yield
    finally:
      os.close(file)


def _open(workdir: str) -> int:
  path = os.path.join(workdir, LOCK_FILE)
  try:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
  except OSError as error:
    raise FileError(
      f"The run's folder {workdir} cannot be written to ({error}); pass "
      "another --config.workdir=<folder>."
    ) from error


def _lock(file: int, workdir: str) -> None:
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError as error:
    holder = os.read(file, 1000).decode(errors="replace") or "another process"
    raise FileError(
      f"{workdir} is in use by {holder}. Wait for it to end, or pass another "
      "--config.workdir=<folder>."
    ) from error
  except OSError as error:  # A network file system without locks.
    logging.warning("No lock, as %s does not support it: %s.", workdir, error)
    return
  now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
  os.ftruncate(file, 0)
  os.write(
    file,
    f"process {os.getpid()} on {socket.gethostname()} since {now}".encode(),
  )
