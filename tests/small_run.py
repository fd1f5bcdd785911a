"""A whole run in the test's own process, on a small network."""

from pattlite_jax.data import pipeline
from pattlite_jax.training import checkpoint, loop


class Writer:
  """Keeps what clu's writer would log."""

  def __init__(self):
    self.scalars = []

  def write_scalars(self, step, scalars):
    self.scalars.append((step, scalars))


class StoppedError(Exception):
  """Ends a run in the middle of a step."""


def fit(config, splits, *, stop_at=None, hook=lambda step: None):
  """Returns (what result.json holds, the writer) of a run."""

  def stop(step):
    if step == stop_at:
      raise StoppedError

  writer = Writer()
  batches = pipeline.train_batches
  hooks = [stop, hook]
  result = loop.fit(config, splits, batches, writer, hooks)
  return result, writer


def saved_best(config):
  return checkpoint.restore(config.workdir, ["best"])["best"]
