"""What a run reads and where it logs: with TensorFlow, or without it.

TensorFlow takes seconds to import, so nothing else of a training imports it.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import ml_collections
from absl import logging

from pattlite_jax import methods
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import source
from pattlite_jax.runtime import parallel
from pattlite_jax.training.run import MakeBatches


@dataclasses.dataclass(frozen=True)
class Inputs:
  """The data set, its batches, and what writes the run's figures."""

  splits: dict[str, examples_lib.Examples]
  make_batches: MakeBatches
  # Makes what has clu's write_scalars(step, scalars) and close(), and hooks.
  make_writer: Callable[[], tuple[Any, Sequence[Callable[[int], Any]]]]


class LogWriter:
  """Logs scalars as text, where clu and its TensorBoard files are missing."""

  def write_scalars(self, step: int, scalars: dict[str, float]) -> None:
    """Logs a line."""
    figures = ", ".join(f"{k}={v:.6g}" for k, v in sorted(scalars.items()))
    logging.info("[%d] %s", step, figures)

  def close(self) -> None:
    """Does nothing."""


def load(config: ml_collections.ConfigDict) -> Inputs:
  """Loads what the config names.

  Raises:
    UserError, FileError: as `DataSource.load`.
  """
  return _packed(config) if config.data.packed else _with_tensorflow(config)


def _packed(config: ml_collections.ConfigDict) -> Inputs:
  from pattlite_jax.data import in_memory

  splits = source.of_config(config.data).load(
    soft_targets=config.data.soft_targets
  )
  return Inputs(splits, in_memory.train_batches, lambda: (LogWriter(), []))


def _with_tensorflow(config: ml_collections.ConfigDict) -> Inputs:
  from pattlite_jax.data import pipeline

  splits = source.of_config(config.data).load(
    soft_targets=config.data.soft_targets
  )

  def make_writer():
    return _clu_writer(config, splits["train"])

  return Inputs(splits, pipeline.train_batches, make_writer)


def _clu_writer(
  config: ml_collections.ConfigDict, train: examples_lib.Examples
) -> tuple[Any, Sequence[Callable[[int], Any]]]:
  """Logs the parameters; returns the writer and a hook for progress."""
  from clu import metric_writers, parameter_overview, periodic_actions

  parameter_overview.log_parameter_overview(
    methods.build(config, len(train.class_names)).shapes,
    include_stats=False,
  )
  writer = metric_writers.create_default_writer(
    config.workdir, just_logging=not parallel.is_writer()
  )
  steps = examples_lib.steps_per_epoch(len(train), config.batch_size)
  report = periodic_actions.ReportProgress(
    num_train_steps=(config.stage1.epochs + config.stage2.epochs) * steps,
    every_secs=30.0,
    writer=writer,
  )
  return writer, [report]
