"""The two-stage training: the loop over stages, epochs and steps."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import ml_collections
import numpy as np
from jaxtyping import Int

from pattlite_jax import config as config_lib
from pattlite_jax import methods
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import load, training_set
from pattlite_jax.runtime import parallel
from pattlite_jax.scoring import metrics, pictures
from pattlite_jax.training import (
  dispatch,
  distillation,
  epoch_end,
  log,
  optimizer,
  preflight,
  result,
  resume,
  same_view,
  setup,
  start,
  stop,
  workdir,
)
from pattlite_jax.training import inputs as inputs_lib
from pattlite_jax.training import labels as labels_lib
from pattlite_jax.training.learning_rate import LearningRate
from pattlite_jax.training.pending import Pending
from pattlite_jax.training.progress import Progress
from pattlite_jax.training.run import MakeBatches, Run, Variables
from pattlite_jax.training.step import TrainState
from pattlite_jax.weights import checkpoint, checkpoint_items

Labels = (
  Int[np.ndarray, "N"] | None
)  # Those in use, where a method changes them.


def train_and_evaluate(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Trains, or goes on in `config.workdir`; returns what result.json holds."""
  config_lib.check(config)
  config = config.copy_and_resolve_references()
  config.workdir = os.path.expanduser(config.workdir)
  with workdir.held(config.workdir):
    return _load_and_fit(config)


def _load_and_fit(config: ml_collections.ConfigDict) -> dict[str, Any]:
  start.require_networks(config)  # Reading the data set may take minutes.
  inputs = inputs_lib.load(config)
  # What one host's own files, such as config.data.label_file, may change.
  used = {"used train": training_set.of_config(config, inputs.splits)}
  preflight.check(config_lib.flat(config.to_dict()), inputs.splits | used)
  parallel.connect()
  with contextlib.closing(log.Log(inputs.make_writer())) as run_log:
    return fit(config, inputs.splits, inputs.make_batches, run_log)


def fit(
  config: ml_collections.ConfigDict,
  splits: dict[str, examples_lib.Examples],
  make_batches: MakeBatches,
  run_log: log.Log,
  hooks: Sequence[Callable[[int], Any]] = (),
  draw: Callable[..., None] = pictures.draw_run,
) -> dict[str, Any]:
  """Runs both stages from the start, or from the workdir's checkpoint.

  `make_batches` is `pipeline.train_batches` or takes the same arguments; hooks
  are called with each step's number; `draw` makes the pictures. Needs no
  TensorFlow.
  """
  parallel.check_batch_size(config.batch_size)
  needed = ["train"]
  if config_lib.watches_validation(config):
    needed.append("validation")
  for split in needed:
    load.require_examples(splits[split], split, config.data.name)
  train = training_set.of_config(config, splits)
  used = splits | {"train": train}
  start_from = start.load_network(config.start_from)
  variables = start.variables(config, start_from, train.class_names)
  teachers = distillation.load_teachers(config.distillation.teachers)
  networks = {
    "started_from": {name: n.origin() for name, n in start_from.items()},
    "taught_by": {name: n.origin() for name, n in teachers.items()},
  }
  seeing = None  # Teachers that see the student's view.
  if teachers and config.distillation.view == "student":
    seeing = same_view.make(
      teachers,
      train.class_names,
      temperature=config.distillation.temperature,
    )
  elif teachers:
    share = config.distillation.share
    train = distillation.teach(train, teachers, share=share)
  described = resume.describe(config, used, networks)
  method = methods.build(config, len(train.class_names))
  if method.relabel is not None:
    train = examples_lib.numbered(train)
  run_log.starts(config, used, method)
  with checkpoint.open_manager(config.workdir, exclusive=True) as manager:
    stops = stop.StopRequests(manager.reached_preemption)
    run = Run(
      config,
      train,
      make_batches,
      setup.validation(config, splits["validation"]),
      manager,
      described,
      stops,
      run_log,
      hooks,
      seeing,
    )
    with stops:
      best, progress, labels = _run_stages(run, variables)
    checkpoint.wait(manager)
  run_log.scores()
  return result.finish(
    config,
    splits,
    best,
    progress.history,
    config_changes=progress.config_changes,
    networks=networks,
    training_images=training_set.describe(config, splits["train"], train),
    labels=(
      None
      if labels is None
      else labels_lib.describe(labels, train, splits["train"])
    ),
    draw=draw,
  )


def _run_stages(
  run: Run, variables: Variables
) -> tuple[Variables, Progress, Labels]:
  """Returns the chosen variables, where the run is, and the labels in use."""
  progress, labels = Progress(), None
  newest = checkpoint.restore_newest(run.manager, resume.ITEMS)
  if newest:
    progress = resume.progress(*newest, run.described)
    checkpoint.set_newer_aside(run.manager, newest[0])
  best = variables
  for index in range(progress.stage, len(config_lib.STAGES)):
    if not newest:
      progress = progress.enter(index)
    stage = setup.stage(
      run.config,
      config_lib.STAGES[index],
      run.train,
      first_epoch=progress.first_epoch,
      epochs_before=progress.epochs_before,
      teachers=run.teachers,
    )
    state = stage.start(best, labels)
    if newest:
      run.log.say(f"Going on at step {newest[0]}.")
      state = checkpoint_items.fill(state, newest[1]["state"])
      best = checkpoint_items.fill(best, newest[1]["best"])
      newest = None
    state = parallel.replicate(state)
    state, best, progress = _run_stage(run, stage, state, best, progress)
    labels = jax.device_get(state.labels)
  return best, progress, labels


def _run_stage(
  run: Run,
  stage: setup.Stage,
  state: TrainState,
  best: Variables,
  progress: Progress,
) -> tuple[TrainState, Variables, Progress]:
  """Runs the stage's epochs; the best epoch's variables start what follows."""
  fields = run.config[config_lib.STAGES[progress.stage]]
  host, num_hosts = parallel.host()
  first_step = int(state.step)
  stacks = dispatch.stacks(
    run.make_batches(
      run.train,
      batch_size=run.config.batch_size,
      seed=run.config.seed,
      first_step=first_step,
      host=host,
      num_hosts=num_hosts,
    ),
    first_step=first_step,
    steps_per_epoch=stage.learning_rate.steps_per_epoch,
    steps_per_dispatch=run.config.steps_per_dispatch,
  )
  take_steps = dispatch.mapped(stage.step)
  while progress.stage_epochs < fields.epochs and not progress.stopping.stopped:
    state = _with_learning_rate(state, stage.learning_rate, progress)
    state, progress = _train_epoch(
      run, take_steps, stacks, state, best, progress
    )
    best, progress = epoch_end.end_epoch(
      run, fields, state, best, progress, stage.learning_rate
    )
    run.save(state, best, progress)
  return state, best, progress


def _with_learning_rate(
  state: TrainState, learning_rate: LearningRate, progress: Progress
) -> TrainState:
  """Returns the state with the learning rate of the epoch under way."""
  rate = learning_rate.of_epoch(progress.stage_epochs, progress.plateau.factor)
  opt_state = optimizer.with_learning_rate(
    state.opt_state, parallel.replicate(np.float32(rate))
  )
  return dataclasses.replace(state, opt_state=opt_state)


def _train_epoch(
  run: Run,
  take_steps: Callable[..., Any],
  stacks: Iterator[tuple[int, dict[str, jax.Array]]],
  state: TrainState,
  best: Variables,
  progress: Progress,
) -> tuple[TrainState, Progress]:
  """Runs the epoch's steps, or the rest of them after a restart."""
  config = run.config
  teachers = run.teachers.variables if run.teachers else ()
  shared = parallel.replicate((jax.random.key(config.seed), teachers))
  last_step = (progress.epochs + 1) * examples_lib.steps_per_epoch(
    examples_lib.epoch_size(run.train), config.batch_size
  )
  stall = 0.0  # Seconds spent waiting for input.
  step = logged = int(state.step)
  run.log.epoch_starts(progress, step)
  pending = Pending(progress.sums, run.log.steps_done)
  while step < last_step:
    previous = step
    # Arrays that are not on the devices yet would stall each step unseen.
    with parallel.no_transfers():
      start = time.perf_counter()
      num_steps, stack = next(stacks)
      stall += time.perf_counter() - start
      state, step_metrics = take_steps(state, stack, *shared)
    step += num_steps
    pending.append(step_metrics)
    if run.log.is_due():
      pending.add_finished()
    checkpoint_due = dispatch.passed(
      config.checkpoint_every_steps, previous, step
    )
    checkpoint_due |= run.stops.seen(step)
    log_due = dispatch.passed(config.log_every_steps, previous, step)
    if not config.log_every_steps:
      log_due = step >= last_step
    if log_due or checkpoint_due:
      progress = _read(run, state, best, progress, pending)
      scalars = metrics.summary(progress.sums)
      scalars["input_stall_ms"] = 1e3 * stall / (step - logged)
      run.log.at_step(step, scalars)
      stall, logged = 0.0, step
    for hook in run.hooks:
      hook(step)
    if checkpoint_due and step < last_step:
      run.save(state, best, progress)
  return state, _read(run, state, best, progress, pending)


def _read(
  run: Run,
  state: TrainState,
  best: Variables,
  progress: Progress,
  pending: Pending,
) -> Progress:
  """Adds up the steps' sums; ends the run if one of them was not finite."""
  progress = dataclasses.replace(progress, sums=pending.add_all())
  run.check_finite(state, best, progress)
  return progress
