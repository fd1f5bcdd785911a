"""The two-stage training: the loop over stages, epochs and steps."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import ml_collections
import numpy as np
from absl import logging

from pattlite_jax import (
  build,
  checkpoint,
  metrics,
  parallel,
  preflight,
  recipe,
  result,
)
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import load
from pattlite_jax.progress import STAGES, Progress
from pattlite_jax.steps import TrainState, create_state

Variables = dict[str, Any]
MakeBatches = Callable[..., Iterator[dict[str, np.ndarray]]]


@dataclasses.dataclass(frozen=True)
class Run:
  """What stays the same from the first step to the last."""

  config: ml_collections.ConfigDict
  train: examples_lib.Examples
  make_batches: MakeBatches
  validate: Callable[[Variables], dict[str, float]]
  save: Callable[[TrainState, Variables, Progress], None]
  writer: Any  # Has clu's write_scalars(step, scalars).
  hooks: Sequence[Callable[[int], Any]]


def train_and_evaluate(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Trains, or goes on in `config.workdir`; returns what result.json holds."""
  build.check_config(config)
  # TensorFlow takes seconds to import and may be missing where `fit` runs.
  from clu import metric_writers, parameter_overview, periodic_actions

  from pattlite_jax.data import pipeline

  splits = load.load_splits(
    config.data.name,
    data_dir=config.data.dir,
    prepared_dir=config.data.prepared_dir,
    image_size=config.data.image_size,
    download=config.data.download,
  )
  preflight.check(config, splits)
  variables = build.init_variables(config, len(splits["train"].class_names))
  parameter_overview.log_parameter_overview(variables, include_stats=False)
  writer = metric_writers.create_default_writer(
    config.workdir, just_logging=not parallel.is_writer()
  )
  epochs = config.stage1.epochs + config.stage2.epochs
  steps_per_epoch = examples_lib.steps_per_epoch(
    len(splits["train"]), config.batch_size
  )
  report = periodic_actions.ReportProgress(
    num_train_steps=epochs * steps_per_epoch, every_secs=30.0, writer=writer
  )
  with contextlib.closing(writer):
    return fit(
      config, splits, variables, pipeline.train_batches, writer, [report]
    )


def fit(
  config: ml_collections.ConfigDict,
  splits: dict[str, examples_lib.Examples],
  variables: Variables,
  make_batches: MakeBatches,
  writer: Any,
  hooks: Sequence[Callable[[int], Any]] = (),
) -> dict[str, Any]:
  """Runs both stages from `variables`, or from the workdir's checkpoint.

  `make_batches` is `pipeline.train_batches` or takes the same arguments; hooks
  are called with each step's number. Needs no TensorFlow.
  """
  parallel.check_batch_size(config.batch_size)
  for split in ("train", "validation"):
    load.require_examples(splits[split], split, config.data.name)
  with checkpoint.open_manager(config.workdir) as manager:
    described = checkpoint.describe(config, splits["train"].class_names)

    def save(state, best, progress):
      checkpoint.save(
        manager,
        int(state.step),
        state=state,
        best=best,
        progress=progress.to_json(),
        config=described,
      )

    validate = build.build_validate(config, splits["validation"])
    run = Run(
      config, splits["train"], make_batches, validate, save, writer, hooks
    )
    best, progress = _run_stages(run, manager, variables)
    manager.wait_until_finished()
  return result.finish(config, splits, best, progress.history)


def _run_stages(
  run: Run, manager: checkpoint.Manager, variables: Variables
) -> tuple[Variables, Progress]:
  saved = checkpoint.latest_progress(manager)
  progress = Progress.from_json(saved) if saved else Progress()
  best, step = variables, 0
  for stage in range(progress.stage, len(STAGES)):
    name = STAGES[stage]
    tx, trainable, train_step = build.build_train(run.config, name, run.train)
    state = create_state(best, tx, trainable, step)
    if saved:
      state, best = checkpoint.restore_latest(manager, state=state, best=best)
      logging.info("Going on at step %d.", state.step)
      saved = None
    else:
      progress = progress.enter(stage, run.config[name].learning_rate)
    state = parallel.replicate(state)
    state, best, progress = _run_stage(run, train_step, state, best, progress)
    step = int(state.step)
  return best, progress


def _run_stage(
  run: Run,
  train_step: Callable[..., Any],
  state: TrainState,
  best: Variables,
  progress: Progress,
) -> tuple[TrainState, Variables, Progress]:
  """Runs the stage's epochs; the best epoch's variables start what follows."""
  fields = run.config[STAGES[progress.stage]]
  host, num_hosts = parallel.host()
  batches = parallel.device_batches(
    run.make_batches(
      run.train,
      batch_size=run.config.batch_size,
      seed=run.config.seed,
      first_step=int(state.step),
      host=host,
      num_hosts=num_hosts,
    )
  )
  while progress.stage_epochs < fields.epochs and not progress.stopping.stopped:
    if fields.decay_epochs:
      rate = recipe.inverse_time_decay(
        fields.learning_rate, fields.decay_epochs, progress.epoch
      )
      progress = dataclasses.replace(progress, learning_rate=rate)
    state, progress = _train_epoch(
      run, train_step, batches, state, best, progress
    )
    best, progress = _end_epoch(run, fields, state, best, progress)
    run.save(state, best, progress)
  return state, best, progress


def _train_epoch(
  run: Run,
  train_step: Callable[..., Any],
  batches: Iterator[dict[str, jax.Array]],
  state: TrainState,
  best: Variables,
  progress: Progress,
) -> tuple[TrainState, Progress]:
  """Runs the epoch's steps, or the rest of them after a restart."""
  config = run.config
  key = jax.random.key(config.seed)
  state = dataclasses.replace(
    state,
    opt_state=recipe.with_learning_rate(
      state.opt_state, parallel.replicate(np.float32(progress.learning_rate))
    ),
  )
  last_step = (progress.epochs + 1) * examples_lib.steps_per_epoch(
    len(run.train), config.batch_size
  )
  pending = []  # Sums still on the devices; reading each would stall them.
  for step in range(int(state.step) + 1, last_step + 1):
    state, step_metrics = train_step(state, next(batches), key)
    pending.append(step_metrics)
    checkpoint_due = step % config.checkpoint_every_steps == 0
    if step % config.log_every_steps == 0 or checkpoint_due:
      progress, pending = _add_pending(progress, pending), []
      _write(run.writer, step, "train", metrics.summary(progress.sums))
    for hook in run.hooks:
      hook(step)
    if checkpoint_due and step < last_step:
      run.save(state, best, progress)
  return state, _add_pending(progress, pending)


def _add_pending(
  progress: Progress, pending: list[metrics.Metrics]
) -> Progress:
  sums = progress.sums
  for step_metrics in jax.device_get(pending):
    sums = metrics.add(sums, step_metrics)
  return dataclasses.replace(progress, sums=sums)


def _end_epoch(
  run: Run,
  fields: ml_collections.ConfigDict,
  state: TrainState,
  best: Variables,
  progress: Progress,
) -> tuple[Variables, Progress]:
  """Validates, and lets the callbacks choose rate, stop and best epoch."""
  step = int(state.step)
  train = metrics.summary(progress.sums)
  validation = run.validate(state.variables)
  record: dict[str, Any] = {
    "stage": STAGES[progress.stage],
    "epoch": progress.epoch,
    "step": step,
    "learning_rate": progress.learning_rate,
    "train_loss": train["loss"],
    "train_accuracy": train["accuracy"],
    "val_loss": validation["loss"],
    "val_accuracy": validation["accuracy"],
  }
  _write(run.writer, step, "validation", validation)
  run.writer.write_scalars(step, {"learning_rate": progress.learning_rate})
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


def _write(
  writer: Any, step: int, prefix: str, scalars: dict[str, float]
) -> None:
  writer.write_scalars(
    step, {f"{prefix}/{name}": value for name, value in scalars.items()}
  )
