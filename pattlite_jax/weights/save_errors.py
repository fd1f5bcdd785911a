"""Why a checkpoint could not be written, and what there is to go on from."""

import errno
import os
import re

from etils import epath

from pattlite_jax.runtime import errors
from pattlite_jax.weights import checkpoint_items

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_OS_ERROR = re.compile(r"os_error_code='(\d+)'")  # As TensorStore writes it.


def explain(folder: epath.Path, error: BaseException) -> str:
  """Returns one line: the cause, and what to do.

  `folder` is that of the steps.
  """
  lost = errors.lost_host(error)
  if lost:
    return f"{lost} {_what_there_is(folder)}"
  line = checkpoint_items.first_line(error)
  number = _error_number(error)
  if not folder.exists():
    return (
      f"No checkpoint could be written: the folder {folder} was deleted or "
      "renamed while the run was using it. Put it back, or start the same "
      "command again to train from the start."
    )
  if number in _FULL:
    cause = "the disk is full. Make room"
  elif number in _FORBIDDEN:
    cause = "it may not be written to. Allow it"
  elif number == errno.EFBIG:
    cause = f"{os.strerror(errno.EFBIG)}: raise the limit (ulimit -f)"
  else:
    cause = f"{line}. Mend that"
  return (
    f"A checkpoint could not be written to {folder}: {cause}, and start the "
    f"same command again. {_what_there_is(folder)}"
  )


def _what_there_is(folder: epath.Path) -> str:
  steps = [int(path.name) for path in folder.glob("*") if path.name.isdigit()]
  if steps:
    return f"It goes on from step {max(steps)}, which is saved."
  return "It begins anew, as no step is saved yet."


def _error_number(error: BaseException | None) -> int | None:
  """Returns the system's number of an error, or of what caused it."""
  seen = set()
  while error is not None and id(error) not in seen:
    seen.add(id(error))
    if isinstance(error, OSError) and error.errno:
      return error.errno
    found = _OS_ERROR.search(str(error))
    if found:
      return int(found[1])
    error = error.__cause__ or error.__context__
  return None
