"""The optimizers, and what they train."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PyTree

from pattlite_jax.config.fields import OPTIMIZERS, TRUNKS
from pattlite_jax.method import TRUNK


class KerasAdamState(NamedTuple):
  """Moments of `scale_by_keras_adam`."""

  count: Any  # i32[]
  mean: Any
  variance: Any


def scale_by_keras_adam(
  b1: float = 0.9, b2: float = 0.999, eps: float = 1e-7
) -> optax.GradientTransformation:
  """Adam as Keras computes it.

  Keras adds `eps` to the square root of the *uncorrected* second moment
  ("epsilon hat" in Kingma and Ba, section 2); optax.scale_by_adam to that of
  the corrected one, which differs by a factor of up to 32 in the first steps.
  """

  def init(params):
    def zeros():  # Called twice: a donated buffer cannot serve both moments.
      return jax.tree.map(jnp.zeros_like, params)

    return KerasAdamState(jnp.zeros((), jnp.int32), zeros(), zeros())

  def update(updates, state, params=None):
    del params
    count = state.count + 1
    mean = jax.tree.map(
      lambda m, g: m + (g - m) * (1 - b1), state.mean, updates
    )
    variance = jax.tree.map(
      lambda v, g: v + (jnp.square(g) - v) * (1 - b2), state.variance, updates
    )
    gain = jnp.sqrt(1 - b2**count) / (1 - b1**count)
    scaled = jax.tree.map(
      lambda m, v: gain * m / (jnp.sqrt(v) + eps), mean, variance
    )
    return scaled, KerasAdamState(count, mean, variance)

  return optax.GradientTransformation(init, update)


def make(
  name: str,
  learning_rate: float,
  *,
  global_clipnorm: float,
  weight_decay: float = 0.0,
  momentum: float = 0.0,
  schedule: Callable[[Any], Any] | None = None,
) -> optax.GradientTransformation:
  """Returns an optimizer whose learning rate can be set between steps.

  `adam` is Keras' Adam(global_clipnorm=...), `adamw` optax' own after the same
  clip; its decoupled `weight_decay` is scaled by the learning rate and reaches
  kernels alone. `sgd` is PyTorch's, with `momentum`; its `weight_decay`, and
  that of `adam`, is added to the clipped gradients of all parameters. A
  `global_clipnorm` of 0 never clips. `schedule` maps the number of steps taken
  to `LearningRate.factor`.
  """

  @optax.inject_hyperparams
  def chain(learning_rate):
    if global_clipnorm:
      clip = optax.clip_by_global_norm(global_clipnorm)
    else:
      clip = optax.identity()
    assert name in OPTIMIZERS, name
    if name == "adamw":
      chained = [
        clip,
        optax.adamw(learning_rate, weight_decay=weight_decay, mask=kernels),
      ]
    else:
      chained = [
        clip,
        *([optax.add_decayed_weights(weight_decay)] if weight_decay else []),
        scale_by_keras_adam() if name == "adam" else optax.trace(momentum),
        optax.scale_by_learning_rate(learning_rate),
      ]
    if schedule is not None:
      chained.append(optax.scale_by_schedule(schedule))
    return optax.chain(*chained)

  return chain(learning_rate=learning_rate)


def kernels(params: PyTree) -> PyTree[bool]:
  """Marks the kernels: no biases, and no scales of batch norm or attention."""
  return jax.tree_util.tree_map_with_path(
    lambda path, _: path[-1].key == "kernel", params
  )


def with_learning_rate(
  opt_state: Any, learning_rate: Float[Array, ""] | np.float32
) -> Any:
  """Returns the state of `make`'s optimizer with another learning rate."""
  return opt_state._replace(hyperparams={"learning_rate": learning_rate})


def trainable(params: PyTree, trunk: str) -> PyTree[bool]:
  """Marks the parameters that train.

  `frozen` is what the notebook's second stage really does: it unfreezes only
  a ReLU. `all_but_bn` is what its text says: the trunk's convolutions train,
  its batch norm stays. `all` trains batch norm's scales and biases as well.
  """
  assert trunk in TRUNKS, trunk

  def trains(path, _):
    if path[0] != TRUNK:
      return True
    of_batch_norm = path[1].endswith("_bn")
    return trunk == "all" or (trunk == "all_but_bn" and not of_batch_norm)

  return flax.traverse_util.path_aware_map(trains, params)
