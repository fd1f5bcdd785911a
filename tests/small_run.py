"""A whole run in the test's own process, on a small network."""

import contextlib

from rich.console import Console

from pattlite_jax.data import pipeline
from pattlite_jax.training import log, loop
from pattlite_jax.weights import checkpoint


class Writer:
  """Keeps what clu's writer would log."""

  def __init__(self):
    self.scalars = []

  def write_scalars(self, step, scalars):
    self.scalars.append((step, scalars))

  def close(self):
    pass


class StoppedError(Exception):
  """Ends a run in the middle of a step."""


def draw_nothing(*args):
  """Takes the place of the pictures, which take a second to draw."""


def fit(
  config,
  splits,
  *,
  stop_at=None,
  hook=lambda step: None,
  console=None,
  draw=draw_nothing,
):
  """Returns (what result.json holds, the writer) of a run."""

  def stop(step):
    if step == stop_at:
      raise StoppedError

  writer = Writer()
  batches = pipeline.train_batches
  hooks = [stop, hook]
  run_log = log.Log(writer, console or Console(quiet=True))
  with contextlib.closing(run_log):
    result = loop.fit(config, splits, batches, run_log, hooks, draw=draw)
  return result, writer


def saved_best(config):
  return checkpoint.restore(config.workdir, ["best"])["best"]
