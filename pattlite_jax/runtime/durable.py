"""Files that are whole after a power cut, or as they were before.

A written file may be in memory alone until it is synced, and so may its name
until its folder is. What is saved here is synced, renamed, and synced again, so
that a name never stands for half of a file. Buckets (gs://) do so themselves.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pathlib

from pattlite_jax.runtime.errors import UserError
from pattlite_jax.runtime.lazy import epath

_BUCKETS = ("gs", "s3", "az", "hf")  # What epath opens.
# What systems say of folders that they cannot sync, or let us not read.
_CANNOT_SYNC = (
  errno.EINVAL,
  errno.ENOTSUP,
  errno.EBADF,
  errno.EACCES,
  errno.EPERM,
  errno.EISDIR,
)


def can_be_opened(path: epath.PathLike) -> bool:
  """Whether a path is of this machine or a bucket: no address of a page."""
  kind, mark, _ = os.fspath(path).partition("://")
  return not mark or kind in _BUCKETS


def is_local(path: epath.PathLike) -> bool:
  """Whether a path is of this machine's file system, not of a bucket.

  Raises:
    UserError: if it is neither.
  """
  if not can_be_opened(path):
    raise UserError(
      f"{path} is neither of this machine nor of a bucket (gs://...). Download "
      "it, and pass the file or folder."
    )
  return "://" not in os.fspath(path)


def named(path: epath.PathLike) -> epath.Path:
  """Returns the path of what a user names, such as ~/f.json or gs://b/f.json.

  Raises:
    UserError: if it is of neither kind, as https://...
  """
  is_local(path)
  return epath.Path(path).expanduser()


def with_folder(path: epath.PathLike) -> epath.Path:
  """Returns `named`, once the folder that is to hold the file is there."""
  file = named(path)
  file.parent.mkdir(parents=True, exist_ok=True)
  return file


def write_text(path: epath.PathLike, text: str) -> None:
  """Writes a file as `write_bytes` does, as UTF-8."""
  write_bytes(path, text.encode())


def write_bytes(path: epath.PathLike, data: bytes) -> None:
  """Writes a file; at any moment there is all of the old or all of the new.

  Raises OSError if it cannot; the old file is as it was then.
  """
  if not is_local(path):
    epath.Path(path).write_bytes(data)
    return
  target = pathlib.Path(path).resolve()  # A link stays one.
  # epath takes a device for a file.
  if target.exists() and not target.is_file():
    target.write_bytes(data)
    return
  part = target.with_name(f"{target.name}.part")
  try:
    part.write_bytes(data)
    _sync(part)
    part.replace(target)
  except OSError:
    part.unlink(missing_ok=True)
    raise
  sync_names(target)


def sync_tree(folder: epath.PathLike) -> None:
  """Returns when all that lies below a folder will outlast a power cut.

  Raises OSError where the disk fails.
  """
  if not is_local(folder):
    return
  for place, _, names in os.walk(folder, topdown=False):
    for name in names:
      _sync(os.path.join(place, name))
    _sync(place)


def sync_names(path: epath.PathLike) -> None:
  """Returns when a path's name, and those of its folders, will outlast it."""
  if is_local(path):
    for folder in pathlib.Path(path).absolute().parents:
      _sync(folder)


def _sync(path: epath.PathLike) -> None:
  try:
    file = os.open(path, os.O_RDONLY)
  except PermissionError:  # A folder above ours, which nobody makes anew.
    return
  try:
    os.fsync(file)
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS' fsync leaves it in the drive.
      fcntl.fcntl(file, fcntl.F_FULLFSYNC)
  except OSError as error:
    if error.errno not in _CANNOT_SYNC:
      raise
  finally:
    os.close(file)
