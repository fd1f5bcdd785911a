"""Our side of the benchmark: the steps that evaluation and training run."""

import itertools

import jax
import numpy as np

from pattlite_jax.benchmark.work import Work
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.models.folding import fold_batch_norm
from pattlite_jax.runtime import parallel
from pattlite_jax.training import setup
from pattlite_jax.training import step as step_lib


class Side:
  """See `work.Side`."""

  def __init__(self, work: Work):
    self._work = work

  def forward(self, faces):
    """See `work.Side.forward`."""
    step = setup.build_predict(self._work.config, len(faces.class_names))
    variables = fold_batch_norm(self._work.variables)
    variables = parallel.replicate(variables)
    batch = _on_device(faces)

    def once():
      return step(variables, batch)

    logits = once().reshape(len(faces), -1)
    return once, np.asarray(jax.nn.softmax(logits))

  def train_step(self, stage, faces):
    """See `work.Side.train_step`."""
    config = self._work.config
    tx, trainable, step = setup.build_train(config, stage, faces)
    averaged = config[stage].ema_decay > 0
    state = step_lib.create_state(
      self._work.variables, tx, trainable, averaged=averaged
    )
    state = parallel.replicate(state)
    sizes = [config.steps_per_dispatch]
    batch = examples_lib.gather(faces, np.arange(len(faces)))
    stack = next(parallel.device_stacks(itertools.repeat(batch), sizes))
    key = parallel.replicate(jax.random.key(0))

    def once():
      nonlocal state
      state, metrics = step(state, stack, key)
      return metrics

    return once

  def wait(self, output):
    """See `work.Side.wait`."""
    jax.block_until_ready(output)


def _on_device(faces: examples_lib.Examples):
  batch = examples_lib.gather(faces, np.arange(len(faces)))
  return next(parallel.device_batches([batch]))
