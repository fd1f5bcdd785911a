"""The end of an epoch: validation and the callbacks."""

from typing import Any

import jax
import ml_collections

from pattlite_jax.config import STAGES
from pattlite_jax.scoring import metrics
from pattlite_jax.training import callbacks
from pattlite_jax.training.learning_rate import LearningRate
from pattlite_jax.training.progress import Progress
from pattlite_jax.training.run import Run, Variables
from pattlite_jax.training.step import TrainState


def end_epoch(
  run: Run,
  fields: ml_collections.ConfigDict,
  state: TrainState,
  best: Variables,
  progress: Progress,
  learning_rate: LearningRate,
) -> tuple[Variables, Progress]:
  """Validates; the callbacks choose learning rate, stop and best epoch.

  `fields` and `learning_rate` are the stage's.
  """
  step = int(state.step)
  run.log.validates()
  train = metrics.summary(progress.sums)
  validation = run.validate(state.variables)
  last_step = (progress.stage_epochs + 1) * learning_rate.steps_per_epoch - 1
  rate = learning_rate(last_step, progress.plateau.factor)
  record: dict[str, Any] = {
    "stage": STAGES[progress.stage],
    "epoch": progress.epoch,
    "step": step,
    "learning_rate": rate,
    "train_loss": train["loss"],
    "train_accuracy": train["accuracy"],
    **_terms(train),
    **{f"val_{name}": value for name, value in validation.items()},
  }
  run.log.write(
    step,
    {f"validation/{name}": value for name, value in validation.items()}
    | {"learning_rate": rate},
  )
  plateau = progress.plateau
  if fields.plateau_patience:
    plateau = callbacks.reduce_on_plateau(
      plateau,
      record["val_accuracy"],
      base=learning_rate.base,
      patience=fields.plateau_patience,
      factor=fields.plateau_factor,
      min_delta=fields.min_delta,
      min_learning_rate=fields.min_learning_rate,
    )
  stopping = callbacks.early_stopping(
    progress.stopping,
    progress.epoch,
    callbacks.monitored(record, fields.monitor, progress.epoch),
    patience=fields.patience,
    min_delta=fields.min_delta,
  )
  is_best = stopping.best_epoch == progress.epoch
  run.log.epoch_ends(record, is_best=is_best, stops=stopping.stopped)
  if is_best:
    best = jax.device_get(state.variables)
  return best, progress.finish_epoch(record, plateau=plateau, stopping=stopping)


def _terms(train: dict[str, float]) -> dict[str, float]:
  """Returns the terms of a method's loss under their names in the history."""
  terms = train.keys() - {"loss", "accuracy"}
  return {f"train_{name}": train[name] for name in sorted(terms)}
