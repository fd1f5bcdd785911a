"""Stops a run when it is asked to: by a signal, or a host's preemption.

The signals are SIGTERM, Ctrl-C, SIGHUP (a terminal that is closed; nohup keeps
it away) and SIGUSR1 (SLURM's --signal=USR1@120, before the time is up).

The run ends its step, saves a checkpoint and raises StoppedError; the command
then exits with EXIT_STATUS. A second Ctrl-C ends the process at once, as
SIGKILL would; nothing that was saved before is lost by it.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from pattlite_jax.runtime import parallel

# 75, "try again later". A process that a signal ends before or after training,
# when there is nothing to save, shows the signal as any other does.
EXIT_STATUS = os.EX_TEMPFAIL


class StoppedError(Exception):
  """A run was asked to stop, and has saved where it is."""


class StopRequests:
  """Notices requests to stop, while used as a context manager.

  `reached_preemption` is that of Orbax's manager: given each step's number, it
  returns True after the step at which all hosts have agreed to stop.
  """

  def __init__(self, reached_preemption: Callable[[int], bool]):
    self.reason = ""  # What asked to stop.
    self._reached_preemption = reached_preemption
    self._last_step: int | None = None
    self._interrupts = 0
    self._previous: dict[int, Any] = {}  # Handlers by signal.

  def __enter__(self) -> "StopRequests":
    if threading.current_thread() is threading.main_thread():
      numbers = [signal.SIGINT, signal.SIGUSR1]
      if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # As nohup sets it.
        numbers.append(signal.SIGHUP)
      # In a run of several hosts JAX listens to SIGTERM, and tells the others.
      if not parallel.is_distributed():
        numbers.append(signal.SIGTERM)
      self._previous = {n: signal.signal(n, self._on_signal) for n in numbers}
    return self

  def __exit__(self, *_: object) -> None:
    for number, handler in self._previous.items():
      signal.signal(number, handler)

  def seen(self, step: int) -> bool:
    """Whether to stop after `step`; the same on all hosts.

    Call it with growing steps, which may leave some out.
    """
    if not self.reason and parallel.is_distributed():
      # JAX compares numbers with the one agreed on, so it must see them all.
      first = step if self._last_step is None else self._last_step + 1
      if any(map(self._reached_preemption, range(first, step + 1))):
        self.reason = "SIGTERM or a preemption notice on one of the hosts"
      self._last_step = step
    return bool(self.reason)

  def _on_signal(self, number: int, frame: object) -> None:
    del frame
    name = signal.Signals(number).name
    if number == signal.SIGINT:
      self._interrupts += 1
      if self._interrupts > 1:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    if parallel.is_distributed():
      os.kill(os.getpid(), signal.SIGTERM)  # JAX tells the other hosts.
      return
    if not self.reason:
      self.reason = name
      text = f"{name}: saving after this step, then stopping.\n"
      if os.isatty(2):  # Writes over the progress bar.
        text = f"\r\x1b[K{text}"
      with contextlib.suppress(OSError):  # A terminal that has gone.
        # Loggers may be in use by what this interrupts.
        os.write(2, text.encode())
