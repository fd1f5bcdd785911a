"""How much memory this host has for a process."""

import os
import pathlib

_LIMIT = pathlib.Path("/sys/fs/cgroup/memory.max")  # Of a container.


def total(limit: pathlib.Path = _LIMIT) -> int:
  """Returns the bytes of the machine, or of its container if that has less."""
  machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
  try:
    return min(machine, int(limit.read_text()))
  except (OSError, ValueError):  # There is none, or it says "max".
    return machine
