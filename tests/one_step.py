"""One training step of a method, for comparison with a reference."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime import parallel
from pattlite_jax.training import setup


def take(config, examples, variables):
  """Returns the metrics, gradients by path and batch_stats of one step."""
  stage = setup.stage(config, "stage1", examples)
  keep = optax.GradientTransformation(
    lambda params: jax.tree.map(jnp.zeros_like, params),
    lambda grads, state, params: (jax.tree.map(jnp.zeros_like, grads), grads),
  )
  stage = dataclasses.replace(stage, tx=keep)
  batch = examples_lib.gather(examples, np.arange(len(examples)))
  (batch,) = parallel.device_batches([batch])
  state, metrics = parallel.pmap_train_step(stage.step)(
    parallel.replicate(stage.start(variables)), batch, jax.random.key(0)
  )
  gradients = traverse_util.flatten_dict(jax.device_get(state.opt_state))
  return metrics, gradients, jax.device_get(state.batch_stats)
