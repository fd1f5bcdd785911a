"""Errors that a user can mend, and how commands end on them: in one line.

Any other error is a mistake of the program and shows its traceback.
"""

import contextlib
import sys
import traceback
from collections.abc import Iterator

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


class UserError(ValueError):
  """Something that the user can mend; its text says what, and how."""


class FileError(UserError, OSError):
  """A file or folder that cannot be used."""


class MissingFileError(FileError, FileNotFoundError):
  """A file or folder that is not there."""


def is_for_user(error: Exception) -> bool:
  """Whether one line helps: our errors, the system's, a package to install.

  The system's are those such as "No space left on device: 'F'", which have a
  number; libraries raise OSError without one for mistakes of programs, too.
  """
  if isinstance(error, UserError):
    return True
  if isinstance(error, ModuleNotFoundError):
    return error.name in TRAINING_MODULES
  return isinstance(error, OSError) and error.errno is not None


def _text(error: Exception) -> str:
  """Returns what a user reads of an error that is for users."""
  if isinstance(error, ModuleNotFoundError):
    return (
      f"This command needs {error.name}. Install it with: "
      'pip install "pattlite-jax[train]"'
    )
  return str(error)


@contextlib.contextmanager
def in_one_line(*, status: int = 1, data_flags: bool = False) -> Iterator[None]:
  """Ends the process with `status` on an error; in one line if it is a user's.

  --verbosity=1 shows the traceback. `data_flags` is for commands that have
  --dataset and --data_dir: the data sets' errors name the flags of training.
  """
  try:
    yield
  except Exception as error:
    if is_for_user(error):
      logging.debug("Of the error below:", exc_info=True)
      text = _text(error)
      if data_flags:
        text = text.replace("--config.data.name", "--dataset")
        text = text.replace("--config.data.dir", "--data_dir")
      print(f"Error: {text}", file=sys.stderr)
    else:
      traceback.print_exc()
    sys.exit(status)
