"""The coordinator of a run of several hosts: host 0, at a port of it.

JAX ends a process without a word that helps where the port is not to be had or
nobody answers, so both are found out before.
"""

import socket
import time

from pattlite_jax.runtime.errors import UserError

_WAIT_SECONDS = 300.0  # As long as JAX would; hosts start at different times.


def check(
  address: str, *, is_own: bool, wait_seconds: float = _WAIT_SECONDS
) -> None:
  """Returns once there is a coordinator, or this process can become it.

  Raises:
    UserError: if the address is none, the port is taken, or nobody answers.
  """
  name, colon, port = address.rpartition(":")
  if not (name and colon and port.isdigit() and 0 < int(port) < 65536):
    raise UserError(
      f"--coordinator_address is {address!r}, but must be <name of host 0>:"
      "<any free port of it>, such as host0:12345."
    )
  if is_own:
    _require_free(int(port))
  else:
    _wait_for(name.strip("[]"), int(port), wait_seconds)


def _require_free(port: int) -> None:
  family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
  try:
    socket.create_server(
      ("", port), family=family, dualstack_ipv6=family == socket.AF_INET6
    ).close()
  except OSError as error:
    raise UserError(
      f"Port {port} of this machine cannot be the coordinator's "
      f"({error.strerror}): another program has it, or an earlier run that "
      "has not ended. Pass a --coordinator_address with another port to all "
      "hosts."
    ) from error


def _wait_for(name: str, port: int, seconds: float) -> None:
  deadline = time.monotonic() + seconds
  while True:
    try:
      socket.create_connection((name, port), timeout=10).close()
      return
    except OSError as error:
      if time.monotonic() > deadline:
        raise UserError(
          f"Host 0 does not answer at {name}:{port} ({error.strerror or error})"
          f" after {seconds:.0f} seconds. Is it started, with the same "
          "--coordinator_address, and does a firewall let the port through?"
        ) from error
    time.sleep(0.5)
