"""How commands end on errors: one line for what a user can mend."""

import contextlib
import sys
import traceback
from collections.abc import Iterator

from absl import logging

# Missing and broken files, full disks; wrong values; numbers that diverge.
MENDABLE = (OSError, ValueError, FloatingPointError)


@contextlib.contextmanager
def in_one_line(*, status: int = 1, data_flags: bool = False) -> Iterator[None]:
  """Ends the process with `status` on an error, and no traceback if mendable.

  --verbosity=1 shows the traceback. `data_flags` is for commands that have
  --dataset and --data_dir: the data sets' errors name the flags of training.
  """
  try:
    yield
  except MENDABLE as error:
    logging.debug("Of the error below:", exc_info=True)
    text = str(error)
    if data_flags:
      text = text.replace("--config.data.name", "--dataset")
      text = text.replace("--config.data.dir", "--data_dir")
    print(f"Error: {text}", file=sys.stderr)
    sys.exit(status)
  except Exception:
    traceback.print_exc()
    sys.exit(status)
