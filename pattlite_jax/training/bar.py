"""The progress bar of an epoch, on a terminal."""

import sys
import time
from collections.abc import Iterable
from typing import Any

import rich.progress
from absl import logging
from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.table import Column

_REDRAW_SECONDS = 0.2


class _Narrow(rich.progress.Progress):
  """Leaves room for the "^C" of a terminal, so that it begins no new line."""

  def get_renderables(self) -> Iterable[RenderableType]:
    if self.tasks:  # None yet when rich first asks, before there is a console.
      width = max(self.console.width - 4, 1)
      yield Constrain(self.make_tasks_table(self.tasks), width)


class Bar:
  """A bar below what is printed, redrawn when told to; leaves nothing behind.

  It has no thread of its own, which would take turns with the training.
  """

  def __init__(self, console: Console):
    self._console = console
    self._bar = _Narrow(
      rich.progress.TextColumn("{task.description}"),
      rich.progress.BarColumn(30, table_column=Column(min_width=4)),
      rich.progress.TextColumn("{task.fields[words]}"),
      console=console,
      auto_refresh=False,
      transient=True,
    )
    self._task: rich.progress.TaskID | None = None
    self._stderr: Any = None  # Where warnings go when there is no bar.
    self._drawn = 0.0

  def is_due(self) -> bool:
    """Whether the eye would notice another drawing."""
    return time.perf_counter() - self._drawn >= _REDRAW_SECONDS

  def draw(self, name: str, done: int, total: int, words: str) -> None:
    """Shows that `done` of `total` steps of what has a name are done."""
    if self._task is None:
      self._task = self._start()
    self._drawn = time.perf_counter()
    self._bar.update(
      self._task,
      description=name,
      completed=done,
      total=total,
      words=words,
      refresh=True,
    )

  def close(self) -> None:
    """Takes the bar off the screen."""
    if self._task is None:
      return
    self._bar.stop()
    self._bar.remove_task(self._task)
    self._task = None
    logging.get_absl_handler().python_handler.setStream(self._stderr)

  def _start(self) -> rich.progress.TaskID:
    self._bar.start()
    # A second Ctrl-C ends the process at once, and would leave it hidden.
    self._console.show_cursor(True)
    # rich has put a stream there that prints above the bar.
    handler = logging.get_absl_handler().python_handler
    self._stderr = handler.stream
    handler.setStream(sys.stderr)
    return self._bar.add_task("", words="")
