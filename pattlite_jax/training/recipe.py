"""The training recipe of PAtt-Lite's notebook: stages, rates, callbacks.

The callbacks are Keras' ReduceLROnPlateau and EarlyStopping (mode "max"), as
pure functions on small records that a checkpoint stores as JSON.
"""

import dataclasses

import flax.traverse_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from pattlite_jax.models.pattlite import TRUNK


def trainable(params: PyTree, trunk: str) -> PyTree[bool]:
  """Marks the parameters that train.

  `frozen` is what the notebook's second stage really does: it unfreezes only
  a ReLU. `all_but_bn` is what its text says: the trunk's convolutions train,
  its batch norm stays. `all` trains batch norm's scales and biases as well.
  """
  assert trunk in ("frozen", "all_but_bn", "all"), trunk

  def trains(path, _):
    if path[0] != TRUNK:
      return True
    of_batch_norm = path[1].endswith("_bn")
    return trunk == "all" or (trunk == "all_but_bn" and not of_batch_norm)

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


def cosine(
  step: Int[Array, ""] | int, *, steps: int, warmup_steps: int
) -> Float[Array, ""]:
  """Returns the factor of the learning rate of a stage's step, from 0 on.

  It rises in a line to 1 at the last of `warmup_steps`, then falls along half
  a cosine and would reach 0 at `steps`.
  """
  rising = (step + 1) / max(warmup_steps, 1)
  done = (step - warmup_steps) / max(steps - warmup_steps, 1)
  falling = 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(done, 0, 1)))
  return jnp.where(step < warmup_steps, rising, falling)


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
  """Returns the state after `epoch` scored `value`; patience 0 never stops."""
  if state.best is None or value - min_delta > state.best:
    return EarlyStopping(best=value, best_epoch=epoch)
  wait = state.wait + 1
  stopped = 0 < patience <= wait and epoch > 0
  return dataclasses.replace(state, wait=wait, stopped=stopped)


def initial_epoch(stage1_epochs_run: int) -> int:
  """The notebook's history.epoch[-5]: stage 2 counts on from there."""
  return max(stage1_epochs_run - 5, 0)
