"""Sums of steps that the devices may still be taking, and their speed."""

import collections
import time
from collections.abc import Callable
from typing import Any

import jax

from pattlite_jax.scoring import metrics

_WINDOW_SECONDS = 10.0  # Over which the speed of the moment is measured.


class Pending:
  """Adds up the sums of an epoch's steps, in the order of the steps.

  Steps are dispatched ahead of the devices, and waiting for each one's sums
  would stall them. `add_finished` waits for none, `add_all` for all; the total
  is the same to the last bit, whichever is called, and whenever.

  `tell(steps, sums)` is called with the number of steps added since its last
  call and the new total, each time that no finished step is left to add.
  """

  def __init__(
    self, sums: dict[str, float], tell: Callable[[int, dict[str, float]], None]
  ):
    self._sums = sums
    self._tell = tell
    self._untold = 0  # Steps.
    self._stacks: collections.deque[Any] = collections.deque()

  def append(self, stack: Any) -> None:
    """Takes the `Metrics` of the next dispatch, stacked over its steps."""
    self._stacks.append(stack)

  def add_finished(self) -> None:
    """Adds the steps that the devices have finished."""
    while self._stacks and _is_ready(self._stacks[0]):
      self._add_next()

  def add_all(self) -> dict[str, float]:
    """Returns the sums of all steps, once the devices have finished them."""
    for leaf in jax.tree.leaves(list(self._stacks)):
      leaf.copy_to_host_async()
    while self._stacks:
      self._add_next()
    return self._sums

  def _add_next(self) -> None:
    stack = jax.device_get(self._stacks.popleft())
    self._sums = metrics.add(self._sums, stack)
    self._untold += jax.tree.leaves(stack)[0].size
    if not (self._stacks and _is_ready(self._stacks[0])):
      self._tell(self._untold, self._sums)
      self._untold = 0


def _is_ready(stack: Any) -> bool:
  return all(leaf.is_ready() for leaf in jax.tree.leaves(stack))


class Speed:
  """Images a second that the devices compute, not that they are given.

  `clock` returns seconds.
  """

  def __init__(self, clock: Callable[[], float] = time.perf_counter):
    self._clock = clock
    self.restart()

  def restart(self) -> None:
    """Forgets what was measured; the next mark is a new start."""
    self._marks: collections.deque[tuple[float, float]] = collections.deque()
    self._first: tuple[float, float] | None = None

  def mark(self, images: float) -> None:
    """Notes that this many images of the epoch are done now."""
    now = (self._clock(), images)
    self._first = self._first or now
    self._marks.append(now)
    while len(self._marks) > 2 and self._marks[1][0] < now[0] - _WINDOW_SECONDS:
      self._marks.popleft()

  def is_started(self) -> bool:
    """Whether there was a mark since the last restart."""
    return self._first is not None

  def now(self) -> float | None:
    """Returns the images a second of late; None before the second mark."""
    return _rate(self._marks[0], self._marks[-1]) if self._marks else None

  def mean(self) -> float | None:
    """Returns the images a second from the first mark to the last."""
    return _rate(self._first, self._marks[-1]) if self._first else None


def _rate(a: tuple[float, float], b: tuple[float, float]) -> float | None:
  seconds, images = b[0] - a[0], b[1] - a[1]
  return images / seconds if seconds > 0 else None
