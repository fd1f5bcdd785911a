"""All that a run says: on a terminal with a bar, elsewhere in plain lines."""

import time
from typing import Any

import ml_collections
from rich.console import Console

from pattlite_jax.config import STAGES
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.method import Method
from pattlite_jax.runtime import parallel
from pattlite_jax.scoring import metrics
from pattlite_jax.training import log_lines
from pattlite_jax.training.bar import Bar
from pattlite_jax.training.pending import Speed
from pattlite_jax.training.progress import Progress


def make_console() -> Console:
  """Returns the screen or file of standard output.

  Of several hosts only the writing one has a say.
  """
  return Console(quiet=not parallel.is_writer(), highlight=False, markup=False)


def say(console: Console, text: str, style: str = "") -> None:
  """Prints lines as they are, however narrow the screen is."""
  console.print(text, style=style, soft_wrap=True)


class Log:
  """The words of one run, and its scalars for TensorBoard.

  `writer` has clu's write_scalars(step, scalars) and close(); None keeps no
  scalars. Calls follow the run: `starts`; for each epoch `epoch_starts`, some
  of `steps_done` and `at_step`, `validates`, `epoch_ends`; then `scores`.
  """

  def __init__(self, writer: Any = None, console: Console | None = None):
    self._writer = writer
    self._console = console or make_console()
    has_bar = self._console.is_interactive and not self._console.quiet
    self._bar = Bar(self._console) if has_bar else None
    self._speed = Speed()
    self._stage = -1  # The one whose start was said.
    self._done = 0  # Steps of the epoch under way.
    self._sums = metrics.zero()  # Over the steps done.
    self._paused = 0.0  # When the last epoch's steps were done.
    self._pause = 0.0  # Seconds from there to the next epoch.

  def starts(
    self,
    config: ml_collections.ConfigDict,
    splits: dict[str, examples_lib.Examples],
    method: Method,
  ) -> None:
    """Says what the run trains on, with what, and where."""
    self._config = config
    self._num_images = examples_lib.epoch_size(splits["train"])
    self.say(log_lines.header(config, splits, method))

  def say(self, text: str) -> None:
    """Says something in a line or more."""
    say(self._console, text)

  def write(self, step: int, scalars: dict[str, float]) -> None:
    """Keeps scalars for TensorBoard."""
    if self._writer:
      self._writer.write_scalars(step, scalars)

  def epoch_starts(self, progress: Progress, step: int) -> None:
    """Shows the epoch, and the stage if that starts too.

    `step` is the last that was taken, of the epoch or before it.
    """
    self._place = log_lines.place(self._config, progress, self._num_images)
    self._done = step - progress.epochs * self._place.steps_an_epoch
    self._speed.restart()
    if progress.stage == self._stage:
      self._pause = time.perf_counter() - self._paused
      self._speed.mark(progress.sums["count"])
      return
    # Its first step is compiled, which tells nothing of the speed.
    self._stage = progress.stage
    self.say(f"\nStage {self._stage + 1} of {len(STAGES)}")
    if self._bar:
      say(self._console, log_lines.HEADINGS, style="dim")
    self._draw("compiling the first step")

  def is_due(self) -> bool:
    """Whether to look for finished steps: to show them, or for the first."""
    if not self._speed.is_started():
      return True
    return self._bar is not None and self._bar.is_due()

  def steps_done(self, steps: int, sums: dict[str, float]) -> None:
    """Takes the number of steps just finished, and the epoch's sums so far."""
    self._done += steps
    self._sums = sums
    self._speed.mark(sums["count"])
    if sums["count"] and self.is_due():  # 0 if the first step is not finite.
      self._draw(self._figures())

  def at_step(self, step: int, scalars: dict[str, float]) -> None:
    """Keeps the training's scalars; where there is no bar, says them too."""
    speed = self._speed.now()
    if speed:
      scalars = scalars | {"images_per_second": speed}
    self.write(step, {f"train/{name}": x for name, x in scalars.items()})
    if not self._bar:
      self.say(log_lines.step_line(self._place, step, self._figures()))

  def validates(self) -> None:
    """Shows that the epoch's steps are done, but not the epoch."""
    self._paused = time.perf_counter()
    self._draw("validating")

  def epoch_ends(
    self, record: dict[str, Any], *, is_best: bool, stops: bool
  ) -> None:
    """Says how the epoch went; `stops` is whether its stage ends early."""
    words = log_lines.epoch_row if self._bar else log_lines.epoch_line
    self.say(words(self._place, record, self._speed.mean(), is_best=is_best))
    if stops:
      stage = record["stage"]
      self.say(log_lines.early_end(stage, self._config[stage]))

  def scores(self) -> None:
    """Says that training is over, and what it chose is scored."""
    if self._bar:
      self._bar.close()
    self.say("\nScoring the weights of the chosen epoch.")

  def close(self) -> None:
    """Ends what is shown, and the file of scalars."""
    if self._bar:
      self._bar.close()
    if self._writer:
      self._writer.close()

  def _figures(self) -> str:
    speed = self._speed.now()
    seconds = None
    if speed:
      epochs = self._place.epochs - self._place.epoch + 1
      images = epochs * self._num_images - self._sums["count"]
      seconds = images / speed + epochs * self._pause
    return log_lines.figures(
      metrics.summary(self._sums),
      speed,
      log_lines.time_left(seconds, self._place),
    )

  def _draw(self, words: str) -> None:
    if self._bar:
      self._bar.draw(
        f"epoch {self._place.epoch}",
        self._done,
        self._place.steps_an_epoch,
        words,
      )
