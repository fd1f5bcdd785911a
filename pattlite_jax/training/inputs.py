"""What a run reads and where it keeps scalars: with TensorFlow, or without it.

TensorFlow takes seconds to import, so nothing else of a training imports it.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import ml_collections

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import source
from pattlite_jax.runtime import parallel, startup
from pattlite_jax.training.run import MakeBatches


@dataclasses.dataclass(frozen=True)
class Inputs:
  """The data set, its batches, and where scalars go."""

  splits: dict[str, examples_lib.Examples]
  make_batches: MakeBatches
  # Makes what has clu's write_scalars(step, scalars) and close(), or None.
  make_writer: Callable[[], Any]


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
  return Inputs(splits, in_memory.train_batches, lambda: None)


def _with_tensorflow(config: ml_collections.ConfigDict) -> Inputs:
  with startup.without_chatter():
    from pattlite_jax.data import pipeline

  splits = source.of_config(config.data).load(
    soft_targets=config.data.soft_targets
  )
  return Inputs(
    splits, pipeline.train_batches, lambda: _tensorboard(config.workdir)
  )


def _tensorboard(workdir: str) -> Any:
  """Returns the writer of TensorBoard's file, on the writing host alone."""
  from clu import metric_writers

  if not parallel.is_writer():
    return None
  return metric_writers.AsyncMultiWriter(
    [metric_writers.SummaryWriter(workdir)]
  )
