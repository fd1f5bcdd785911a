"""The end of an epoch: validation and the callbacks."""

from typing import Any

import jax
import ml_collections
from absl import logging

from pattlite_jax.config import STAGES
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.scoring import metrics
from pattlite_jax.training import recipe, setup
from pattlite_jax.training.progress import Progress
from pattlite_jax.training.run import Run, Variables
from pattlite_jax.training.step import TrainState


def end_epoch(
  run: Run,
  fields: ml_collections.ConfigDict,
  state: TrainState,
  best: Variables,
  progress: Progress,
) -> tuple[Variables, Progress]:
  """Validates, and lets the callbacks choose rate, stop and best epoch.

  `fields` are the stage's.
  """
  step = int(state.step)
  train = metrics.summary(progress.sums)
  validation = run.validate(state.variables)
  rate = _last_rate(run, progress)
  record: dict[str, Any] = {
    "stage": STAGES[progress.stage],
    "epoch": progress.epoch,
    "step": step,
    "learning_rate": rate,
    "train_loss": train["loss"],
    "train_accuracy": train["accuracy"],
    "val_loss": validation["loss"],
    "val_accuracy": validation["accuracy"],
  }
  run.write(step, "validation", validation)
  run.writer.write_scalars(step, {"learning_rate": rate})
  logging.info("Epoch finished: %s", record)
  plateau, learning_rate = progress.plateau, progress.learning_rate
  if fields.plateau_patience:
    plateau, learning_rate = recipe.reduce_on_plateau(
      plateau,
      learning_rate,
      record["val_accuracy"],
      patience=fields.plateau_patience,
      factor=fields.plateau_factor,
      min_delta=fields.min_delta,
      min_learning_rate=fields.min_learning_rate,
    )
  stopping = recipe.early_stopping(
    progress.stopping,
    progress.epoch,
    record[fields.monitor],
    patience=fields.patience,
    min_delta=fields.min_delta,
  )
  if stopping.best_epoch == progress.epoch:
    best = jax.device_get(state.variables)
  return best, progress.finish_epoch(
    record, plateau=plateau, learning_rate=learning_rate, stopping=stopping
  )


def _last_rate(run: Run, progress: Progress) -> float:
  """Returns the learning rate of the epoch's last step."""
  factor = setup.schedule(run.config, STAGES[progress.stage], run.train)
  if factor is None:
    return progress.learning_rate
  steps = examples_lib.steps_per_epoch(len(run.train), run.config.batch_size)
  taken = (progress.stage_epochs + 1) * steps - 1
  return progress.learning_rate * float(factor(taken))
