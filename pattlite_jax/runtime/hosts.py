"""The flags with which a command joins a run of several hosts."""

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn

from absl import flags, logging

_PLACE = ("coordinator_address", "num_processes", "process_id")
_LAST_WORDS_SECONDS = 5.0

flags.disclaim_key_flags()  # --help shows them as the command's own.


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `joined` reads."""
  flags.DEFINE_bool(
    "distributed",
    False,
    "Join a run of several hosts. TPU pods, SLURM, Kubernetes and Open MPI "
    "tell the rest; elsewhere pass --coordinator_address, --num_processes and "
    "--process_id too (docs/many_hosts.md).",
    flag_values=values,
  )
  flags.DEFINE_string(
    "coordinator_address",
    None,
    "<name of host 0>:<any free port of it>.",
    flag_values=values,
  )
  flags.DEFINE_integer(
    "num_processes",
    None,
    "How many processes the run has.",
    lower_bound=1,
    flag_values=values,
  )
  flags.DEFINE_integer(
    "process_id",
    None,
    "Number of this process, from 0.",
    lower_bound=0,
    flag_values=values,
  )
  flags.register_multi_flags_validator(
    ["distributed", *_PLACE],
    _are_complete,
    "--coordinator_address, --num_processes and --process_id (below "
    "--num_processes) go together, and only with --distributed.",
    flag_values=values,
  )


def _are_complete(values: dict[str, Any]) -> bool:
  place = [values[name] for name in _PLACE]
  if place == [None] * 3:
    return True
  if None in place or not values["distributed"]:
    return False
  return values["process_id"] < values["num_processes"]


@contextlib.contextmanager
def joined(given: flags.FlagValues) -> Iterator[None]:
  """Runs a command's body as one host of many, if its flags say so.

  An error ends the process at once. An ordinary exit would wait for the other
  hosts, which wait for this one in their next step.

  Raises:
    UserError: if it cannot join, or has nothing to compute on.
  """
  from pattlite_jax.runtime import parallel

  if given.distributed:
    parallel.initialize(
      given.coordinator_address, given.num_processes, given.process_id
    )
  parallel.require_devices()
  if not given.distributed:
    yield
    return
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
