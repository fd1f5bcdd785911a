"""Our side of the benchmark: the steps that evaluation and training run."""

import jax
import numpy as np

from pattlite_jax import build, parallel, steps
from pattlite_jax.benchmarks.work import Work
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.models.folding import fold_batch_norm


class Side:
  """See `work.Side`."""

  def __init__(self, work: Work):
    self._work = work

  def forward(self, faces):
    """See `work.Side.forward`."""
    step = build.build_predict(self._work.config, len(faces.class_names))
    variables = fold_batch_norm(self._work.variables)
    variables = parallel.replicate(variables)
    batch = _on_device(faces)

    def run(count):
      for _ in range(count):
        logits = step(variables, batch)
      return jax.block_until_ready(logits)

    logits = run(1).reshape(len(faces), -1)
    return run, np.asarray(jax.nn.softmax(logits))

  def train_step(self, stage, faces):
    """See `work.Side.train_step`."""
    config = self._work.config
    tx, trainable, step = build.build_train(config, stage, faces)
    state = steps.create_state(self._work.variables, tx, trainable)
    state = parallel.replicate(state)
    batch, key = _on_device(faces), jax.random.key(0)

    def run(count):
      nonlocal state
      for _ in range(count):
        state, _ = step(state, batch, key)
      return jax.block_until_ready(state)

    return run


def _on_device(faces: examples_lib.Examples):
  batch = examples_lib.gather(faces, np.arange(len(faces)))
  return next(parallel.device_batches([batch]))
