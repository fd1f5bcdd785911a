"""The flags with which a command joins a run of several hosts."""

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn

from absl import flags, logging

_DISTRIBUTED = flags.DEFINE_bool(
  "distributed",
  False,
  "Join a run of several hosts. TPU pods, SLURM, Kubernetes and Open MPI tell "
  "the rest; elsewhere pass the three flags below too (docs/many_hosts.md).",
)
_COORDINATOR_ADDRESS = flags.DEFINE_string(
  "coordinator_address", None, "<name of host 0>:<any free port of it>."
)
_NUM_PROCESSES = flags.DEFINE_integer(
  "num_processes", None, "How many processes the run has.", lower_bound=1
)
_PROCESS_ID = flags.DEFINE_integer(
  "process_id", None, "Which of them this is, from 0.", lower_bound=0
)
_PLACE = ("coordinator_address", "num_processes", "process_id")
_LAST_WORDS_SECONDS = 5.0


@flags.multi_flags_validator(
  ["distributed", *_PLACE],
  "--coordinator_address, --num_processes and --process_id (below "
  "--num_processes) go together, and only with --distributed.",
)
def _are_complete(values: dict[str, Any]) -> bool:
  place = [values[name] for name in _PLACE]
  if place == [None] * 3:
    return True
  if None in place or not values["distributed"]:
    return False
  return values["process_id"] < values["num_processes"]


@contextlib.contextmanager
def joined() -> Iterator[None]:
  """Runs a command's body as one host of many, if the flags say so.

  An error ends the process at once. An ordinary exit would wait for the other
  hosts, which wait for this one in their next step.

  Raises:
    UserError: if the flags are needed.
  """
  if not _DISTRIBUTED.value:
    yield
    return
  from pattlite_jax.runtime import parallel

  parallel.initialize(
    _COORDINATOR_ADDRESS.value, _NUM_PROCESSES.value, _PROCESS_ID.value
  )
  index, num_hosts = parallel.host()
  logging.info("Host %d of %d.", index, num_hosts)
  try:
    yield
  except BaseException as error:
    if isinstance(error, SystemExit) and not error.code:
      raise
    _leave(error, is_coordinator=parallel.is_writer())


def _leave(error: BaseException, *, is_coordinator: bool) -> NoReturn:
  """Says what went wrong and ends this process, without any clean-up."""
  code = 1
  if not isinstance(error, SystemExit):
    traceback.print_exception(error)
  elif isinstance(error.code, int):
    code = error.code
  else:
    print(error.code, file=sys.stderr)
  sys.stdout.flush()
  sys.stderr.flush()
  if is_coordinator:  # Its end ends all others, which may have more to say.
    time.sleep(_LAST_WORDS_SECONDS)
  os._exit(code)
