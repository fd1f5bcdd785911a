"""The training recipe of PAtt-Lite's notebook: stages, optimizer, callbacks.

The callbacks are Keras' ReduceLROnPlateau and EarlyStopping (mode "max"), as
pure functions on small records that a checkpoint stores as JSON.
"""

import dataclasses
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PyTree

from pattlite_jax.models.pattlite import TRUNK

TRUNKS = ("frozen", "all_but_bn")
MONITORS = ("val_accuracy", "train_accuracy")


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


def optimizer(
  learning_rate: float, global_clipnorm: float
) -> optax.GradientTransformation:
  """Keras' Adam(global_clipnorm=...); the rate can be set between steps."""

  @optax.inject_hyperparams
  def adam(learning_rate):
    return optax.chain(
      optax.clip_by_global_norm(global_clipnorm),
      scale_by_keras_adam(),
      optax.scale_by_learning_rate(learning_rate),
    )

  return adam(learning_rate=learning_rate)


def with_learning_rate(
  opt_state: Any, learning_rate: Float[Array, ""] | np.float32
) -> Any:
  """Returns the state of `optimizer` with another learning rate."""
  return opt_state._replace(hyperparams={"learning_rate": learning_rate})


def trainable(params: PyTree, trunk: str) -> PyTree[bool]:
  """Marks the parameters that train.

  `frozen` is what the notebook's second stage really does: it unfreezes only
  a ReLU. `all_but_bn` is what its text says: the trunk's convolutions train,
  its batch norm stays.
  """
  if trunk not in TRUNKS:
    raise ValueError(
      f"config.stage2.trunk is {trunk!r}, but must be one of "
      f"{', '.join(TRUNKS)}."
    )

  def trains(path, _):
    if path[0] != TRUNK:
      return True
    return trunk == "all_but_bn" and not path[1].endswith("_bn")

  return flax.traverse_util.path_aware_map(trains, params)


def balanced_class_weights(
  class_counts: Int[np.ndarray, "K"],
) -> Float[np.ndarray, "K"]:
  """scikit-learn's "balanced": n / (K n_c); 1 for a class without examples."""
  num_classes = len(class_counts)
  weights = class_counts.sum() / (num_classes * np.maximum(class_counts, 1))
  return np.where(class_counts > 0, weights, 1.0).astype(np.float32)


def inverse_time_decay(
  learning_rate: float, decay_epochs: float, epoch: int
) -> float:
  """Keras' InverseTimeDecay with rate 1, indexed by epoch as the notebook."""
  return learning_rate / (1 + epoch / decay_epochs)


@dataclasses.dataclass(frozen=True)
class Plateau:
  """State of ReduceLROnPlateau."""

  best: float | None = None
  wait: int = 0


def reduce_on_plateau(
  plateau: Plateau,
  learning_rate: float,
  value: float,
  *,
  patience: int,
  factor: float,
  min_delta: float,
  min_learning_rate: float,
) -> tuple[Plateau, float]:
  """Returns the state and learning rate after an epoch that scored `value`."""
  if plateau.best is None or value - min_delta > plateau.best:
    return Plateau(best=value), learning_rate
  wait = plateau.wait + 1
  learning_rate = float(np.float32(learning_rate))  # Keras holds f32.
  if wait < patience or learning_rate <= np.float32(min_learning_rate):
    return Plateau(plateau.best, wait), learning_rate
  reduced = max(learning_rate * factor, min_learning_rate)
  return Plateau(plateau.best), reduced


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
  """State of EarlyStopping; `best_epoch` is the one to restore."""

  best: float | None = None
  best_epoch: int = -1
  wait: int = 0
  stopped: bool = False


def early_stopping(
  state: EarlyStopping,
  epoch: int,
  value: float,
  *,
  patience: int,
  min_delta: float,
) -> EarlyStopping:
  """Returns the state after `epoch` scored `value`."""
  if state.best is None or value - min_delta > state.best:
    return EarlyStopping(best=value, best_epoch=epoch)
  wait = state.wait + 1
  stopped = wait >= patience and epoch > 0
  return dataclasses.replace(state, wait=wait, stopped=stopped)


def initial_epoch(stage1_epochs_run: int) -> int:
  """The notebook's history.epoch[-5]: stage 2 counts on from there."""
  return max(stage1_epochs_run - 5, 0)
