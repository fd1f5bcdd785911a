"""Our side of the benchmark: the steps that evaluation and training run."""

import itertools

import jax
import numpy as np

from pattlite_jax import methods
from pattlite_jax.benchmark.work import Work
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime import parallel
from pattlite_jax.scoring import logits as logits_lib
from pattlite_jax.training import dispatch, setup


class Side:
  """See `work.Side`."""

  def __init__(self, work: Work):
    self._work = work

  def forward(self, faces):
    """See `work.Side.forward`."""
    method = methods.build(self._work.config, len(faces.class_names))
    predict = logits_lib.Predictor(method, method.network)
    variables = predict.prepare(self._work.variables)
    batch = _on_device(faces)

    def once():
      return predict.step(variables, batch)

    logits = once().reshape(len(faces), -1)
    return once, np.asarray(jax.nn.softmax(logits))

  def train_step(self, stage, faces):
    """See `work.Side.train_step`."""
    bound, state, stack, key = self._prepared(stage, faces)
    take_steps = dispatch.mapped(bound.step)

    def once():
      nonlocal state
      state, metrics = take_steps(state, stack, key)
      return metrics

    return once

  def flop(self, stage: str, faces: examples_lib.Examples) -> float:
    """Returns the operations of a step, by its program before optimisation."""
    bound, state, stack, key = self._prepared(stage, faces)
    steps = parallel.pmap_train_step(dispatch.in_turn(bound.step))
    return steps.lower(state, stack, (key,)).cost_analysis()["flops"]

  def _prepared(self, stage: str, faces: examples_lib.Examples):
    """Returns the stage, its state, a stack of batches and the run's key."""
    config = self._work.config
    bound = setup.stage(config, stage, faces)
    state = parallel.replicate(bound.start(self._work.variables))
    batch = examples_lib.gather(faces, np.arange(len(faces)))
    _, stack = next(
      dispatch.stacks(
        itertools.repeat(batch),
        first_step=0,
        steps_per_epoch=config.steps_per_dispatch,
        steps_per_dispatch=config.steps_per_dispatch,
      )
    )
    return bound, state, stack, parallel.replicate(jax.random.key(0))

  def wait(self, output):
    """See `work.Side.wait`."""
    jax.block_until_ready(output)


def _on_device(faces: examples_lib.Examples):
  batch = examples_lib.gather(faces, np.arange(len(faces)))
  return next(parallel.device_batches([batch]))
