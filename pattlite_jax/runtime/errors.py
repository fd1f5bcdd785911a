"""Errors that a user can mend, and how commands end on them: in one line.

Any other error is a mistake of the program and shows its traceback.
"""

import contextlib
import re
import sys
import traceback
from collections.abc import Iterator, Mapping

from absl import logging

# Modules of the packages that the extra "train" of pyproject.toml installs.
# Keras comes with TensorFlow.
TRAINING_MODULES = (
  "clu",
  "h5py",
  "importlib_resources",
  "keras",
  "matplotlib",
  "tensorboard",
  "tensorflow",
  "tensorflow_datasets",
)
# The extra that installs a module, where it is not a base dependency.
EXTRAS = {
  **dict.fromkeys(TRAINING_MODULES, "train"),
  "onnxruntime": "predict",
  "cv2": "video",
  "onnx": "export",
  "flatbuffers": "export",
}

# What JAX's coordination service and Gloo say when a process has died.
_LOST_HOST = re.compile(
  r"Gloo .*(closed by peer|[Cc]onnect|[Tt]imed out|reset)"
  r"|heartbeat|[Bb]arrier|[Cc]oordination|is unhealthy|tasks? .*(died|failed)"
)


class UserError(ValueError):
  """Something that the user can mend; its text says what, and how.

  `setting` names what has to change, such as "data.dir", where commands have
  different flags for it. The text names no such flag: the command adds its own,
  and a program that calls the library needs none.
  """

  def __init__(self, text: str, *, setting: str | None = None):
    super().__init__(text)
    self.setting = setting


class FileError(UserError, OSError):
  """A file or folder that cannot be used."""


class MissingFileError(FileError, FileNotFoundError):
  """A file or folder that is not there."""


def lost_host(error: BaseException) -> str:
  """Returns what to say where an error means that another host has gone.

  "" for any other error. JAX and Gloo have no type for it.
  """
  text = str(error).partition("\n")[0]
  if not (isinstance(error, RuntimeError) and _LOST_HOST.search(text)):
    return ""
  return (
    f"Another host of this run was killed, or cannot be reached ({text[:200]})."
    " Its own output says more. Start the same command again on all hosts."
  )


def is_for_user(error: Exception) -> bool:
  """Whether one line helps: our errors, the system's, a package to install.

  The system's are those such as "No space left on device: 'F'", which have a
  number; libraries raise OSError without one for mistakes of programs, too.
  """
  if isinstance(error, UserError) or lost_host(error):
    return True
  if isinstance(error, ModuleNotFoundError):
    return error.name in EXTRAS
  return isinstance(error, OSError) and error.errno is not None


@contextlib.contextmanager
def about(setting: str) -> Iterator[None]:
  """Gives the errors for users raised within a setting, if they have none."""
  try:
    yield
  except UserError as error:
    error.setting = error.setting or setting
    raise


@contextlib.contextmanager
def in_one_line(
  flags: Mapping[str, str] | None = None, *, status: int = 1
) -> Iterator[None]:
  """Ends the process with `status` on an error; in one line if it is a user's.

  `flags` are the command's flags by the settings that they set; the error's own
  is added to its text. --verbosity=1 shows the traceback.
  """
  try:
    yield
  except Exception as error:
    if is_for_user(error):
      logging.debug("The traceback of the error below:", exc_info=True)
      print(f"Error: {text_of(error, flags)}", file=sys.stderr)
    else:
      traceback.print_exc()
    sys.exit(status)


def _of_others(error: Exception) -> str:
  return lost_host(error) or str(error)


def remedy(error: ModuleNotFoundError) -> str:
  """Returns how to install a missing module of an extra."""
  extra = EXTRAS[str(error.name)]
  return f'Install it with: pip install "pattlite-jax[{extra}]"'


def text_of(error: Exception, flags: Mapping[str, str] | None = None) -> str:
  """Returns what a user reads of an error that is for users."""
  if isinstance(error, ModuleNotFoundError):
    return f"This command needs {error.name}. {remedy(error)}"
  setting = error.setting if isinstance(error, UserError) else None
  if not flags or setting not in flags:
    return str(error) if isinstance(error, UserError) else _of_others(error)
  return f"{error} The flag is {flags[setting]}."
