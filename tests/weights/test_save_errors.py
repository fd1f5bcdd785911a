"""The cause that is named is the cause, and so is what there is to go on."""

import errno
import os

import jax
import pytest
from etils import epath

from pattlite_jax.weights import save_errors

# As TensorStore wrote it on a full disk.
FULL = (
  'RESOURCE_EXHAUSTED: Error writing "a": Failed to write 538753 bytes to '
  "file 7: No space left on device [os_error_code='28']"
)
KILLED = (
  "UNKNOWN: Gloo all-reduce failed: Read error [127.0.0.1]:9373: Connection "
  "reset by peer"
)
UNHEALTHY = (
  "UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats)"
)


def system_error(number):
  return OSError(number, os.strerror(number), "f")


def wrapped(error):
  try:
    raise RuntimeError("Save failed.") from error
  except RuntimeError as outer:
    return outer


@pytest.fixture
def folder(tmp_path):
  """A run's folder with steps 8 and 12, and half of another."""
  for name in ("8", "12", "16.orbax-checkpoint-tmp"):
    (tmp_path / "checkpoints" / name).mkdir(parents=True)
  return epath.Path(tmp_path / "checkpoints")


@pytest.mark.parametrize(
  ("error", "cause"),
  [
    (ValueError(FULL), "the disk is full. Make room"),
    (system_error(errno.ENOSPC), "the disk is full. Make room"),
    (system_error(errno.EDQUOT), "the disk is full. Make room"),
    (wrapped(ValueError(FULL)), "the disk is full. Make room"),
    (system_error(errno.EACCES), "may not be written to"),
    (system_error(errno.EROFS), "may not be written to"),
    (system_error(errno.EFBIG), "raise the limit"),
    (system_error(errno.EIO), "OSError: [Errno 5] Input/output error"),
    (KeyError("x"), "KeyError: 'x'"),
  ],
)
def test_the_cause_is_named(folder, error, cause):
  text = save_errors.explain(folder, error)
  assert cause in text and str(folder) in text and "\n" not in text
  assert text.endswith("It goes on from step 12, which is saved.")
  assert ("disk is full" in text) == ("disk is full" in cause)


@pytest.mark.parametrize("text", [KILLED, UNHEALTHY])
def test_a_killed_host_is_no_full_disk(folder, text):
  error = jax.errors.JaxRuntimeError(text)
  found = save_errors.explain(folder, error)
  assert found.startswith("Another host of this run was killed")
  assert found.endswith("It goes on from step 12, which is saved.")


def test_a_deleted_folder_is_no_full_disk(tmp_path):
  text = save_errors.explain(
    epath.Path(tmp_path / "gone"), system_error(errno.ENOENT)
  )
  assert "was deleted or renamed" in text
  assert "goes on from" not in text


def test_without_a_step_there_is_nothing_to_go_on_from(tmp_path):
  text = save_errors.explain(epath.Path(tmp_path), ValueError(FULL))
  assert text.endswith("It begins anew, as no step is saved yet.")
