"""A run under way: what stays the same, and how its state is saved."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ml_collections
import numpy as np

from pattlite_jax.config import STAGES
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.training import log, same_view, stop
from pattlite_jax.training.progress import Progress
from pattlite_jax.training.step import TrainState
from pattlite_jax.weights import checkpoint

Variables = dict[str, Any]
MakeBatches = Callable[..., Iterator[dict[str, np.ndarray]]]


@dataclasses.dataclass(frozen=True)
class Run:
  """What stays the same from the first step to the last."""

  config: ml_collections.ConfigDict
  train: examples_lib.Examples
  make_batches: MakeBatches
  validate: Callable[[Variables], dict[str, float]]
  manager: checkpoint.Manager
  described: dict[str, Any]  # What the checkpoints say of the run.
  stops: stop.StopRequests
  log: log.Log
  hooks: Sequence[Callable[[int], Any]]
  teachers: same_view.Teachers | None  # Those that each step asks.

  def save(
    self, state: TrainState, best: Variables, progress: Progress
  ) -> None:
    """Saves a step in the background.

    Raises:
      StoppedError: if the run was asked to stop; all is written then.
    """
    step = int(state.step)
    self._save(step, state, best, progress)
    if self.stops.seen(step):
      checkpoint.wait(self.manager)
      raise stop.StoppedError(
        f"Stopped by {self.stops.reason}. Step {step} is saved in "
        f"{self.config.workdir}: start the same command again to go on."
      )

  def check_finite(
    self, state: TrainState, best: Variables, progress: Progress
  ) -> None:
    """Ends the run if a step was not finite, once the state before is saved.

    Raises:
      UserError: names the step and its images.
    """
    if state.finite:
      return
    step = int(state.step)  # The last one that was finite.
    self._save(step, dataclasses.replace(state, finite=True), best, progress)
    checkpoint.wait(self.manager)
    rows = examples_lib.batch_rows(
      self.train,
      batch_size=self.config.batch_size,
      seed=self.config.seed,
      step=step,
    )
    stage = STAGES[progress.stage]
    raise UserError(
      f"The loss or the gradients of step {step + 1} are not finite (NaN or "
      f"Inf); the state before it is saved in {self.config.workdir}. The same "
      "command will end here again. Look at the step's images, "
      f"{', '.join(self.train.ids[rows])}; or lower "
      f"--config.{stage}.learning_rate, now "
      f"{self.config[stage].learning_rate:g}, and pass --config.resume=force."
    )

  def _save(self, step, state, best, progress):
    checkpoint.save(
      self.manager,
      step,
      state=state,
      best=best,
      progress=progress.to_json(),
      config=self.described,
    )
