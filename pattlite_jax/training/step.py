"""The training state and the steps on it; pure, one device's share each."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Int, Key, PyTree

from pattlite_jax.method import Batch, Method, Variables
from pattlite_jax.runtime import parallel
from pattlite_jax.scoring import metrics as metrics_lib
from pattlite_jax.training import ema
from pattlite_jax.training import labels as labels_lib


@flax.struct.dataclass
class TrainState:
  """All that training changes on the devices."""

  step: Any  # i32[], counts over both stages.
  params: Any
  batch_stats: Any
  opt_state: Any  # Holds the trainable parameters' alone.
  # bool[]. False once a step had a loss or gradients that are not finite: such
  # a step and all after it change nothing else and have metrics of zero.
  finite: Any
  # The EMA of {"params" (the trainable ones), "batch_stats"}, if any.
  average: Any = None
  # i32[N], the training images' labels in use, where the method changes them.
  labels: Any = None

  @property
  def variables(self) -> dict[str, Any]:
    """What `network.apply` takes, and what a checkpoint's user wants.

    Averaged where there is an average.
    """
    if self.average is None:
      return {"params": self.params, "batch_stats": self.batch_stats}
    means = self.average.values
    return means | {"params": merge(means["params"], self.params)}


def create_state(
  variables: dict[str, Any],
  tx: optax.GradientTransformation,
  trainable: PyTree[bool],
  step: int | Array = 0,
  *,
  averaged: bool = False,
  labels: Int[np.ndarray, "N"] | None = None,
) -> TrainState:
  """Returns a state with a fresh optimizer for the trainable parameters.

  With `averaged`, also keeps an exponential moving average (EMA) of these and
  of the batch statistics. `labels` are the training images', where the method
  changes them.

  It holds copies of the arrays, as the mapped step donates its state.
  """
  variables = jax.tree.map(jnp.array, variables)
  train_params, _ = split(variables["params"], trainable)
  return TrainState(
    step=jnp.array(step, jnp.int32),
    params=variables["params"],
    batch_stats=variables.get("batch_stats", {}),
    opt_state=tx.init(train_params),
    finite=jnp.array(True),
    average=(
      ema.start(variables | {"params": train_params}) if averaged else None
    ),
    labels=None if labels is None else jnp.array(labels, jnp.int32),
  )


def split(params: PyTree, trainable: PyTree[bool]) -> tuple[PyTree, PyTree]:
  """Returns (trainable, frozen) trees with None for each other's leaves."""
  chosen = jax.tree.map(lambda x, t: x if t else None, params, trainable)
  others = jax.tree.map(lambda x, t: None if t else x, params, trainable)
  return chosen, others


def merge(chosen: PyTree, others: PyTree) -> PyTree:
  """Undoes `split`: what is None in the one is in the other."""
  return jax.tree.map(
    lambda a, b: b if a is None else a,
    chosen,
    others,
    is_leaf=lambda x: x is None,
  )


def train_step(
  state: TrainState,
  batch: Batch,
  key: Key[Array, ""],
  teachers: tuple[Variables, ...] = (),
  *,
  method: Method,
  tx: optax.GradientTransformation,
  trainable: PyTree[bool],
  first_step: int,
  num_steps: int,
  ema_decay: float = 0.0,
  ask: Callable[..., Array] | None = None,
) -> tuple[TrainState, metrics_lib.Metrics]:
  """Takes one optimizer step on the global batch.

  `key` is the run's key, the same at every step; draws come from
  fold_in(key, state.step) and the row's place in the global batch, so they
  depend neither on a restart nor on the number of devices. The loss is the mean
  of the images' losses plus the terms of `method.loss`. A step that is not
  finite changes nothing (`TrainState.finite`). The stage has `num_steps` steps
  and began at `first_step`. `ask`, if any, gives what `teachers`, their
  variables, see in the same views (`same_view.Teachers.ask`).
  """
  augment_key, dropout_key = jax.random.split(
    jax.random.fold_in(key, state.step)
  )
  rows = parallel.global_rows(batch["label"].shape[0])
  with jax.named_scope("augmentation"):  # Names are for profiles.
    keys = jax.vmap(lambda row: jax.random.fold_in(augment_key, row))(rows)
    views = method.views(keys, batch["image"])
  if state.labels is not None:
    batch = batch | {"label": state.labels[batch["row"]]}
  if ask is not None:
    batch = batch | {"taught": ask(teachers, views, batch["mask"])}
  count = jax.lax.psum(batch["mask"].sum(), parallel.AXIS)
  progress = (state.step - first_step) / num_steps
  train_params, frozen_params = split(state.params, trainable)

  def loss_fn(train_params):
    variables = {
      "params": merge(train_params, frozen_params),
      "batch_stats": state.batch_stats,
    }
    outputs, updated = method.network.apply(
      method.fold(variables),  # Gradients flow to what is folded.
      views,
      batch["mask"],
      train=True,
      rngs={"dropout": dropout_key},
      mutable=["batch_stats"],
    )
    losses, terms = method.loss(outputs, batch, progress)
    # This device's share of the global loss; psum adds the gradients up.
    loss = jnp.sum(losses * batch["mask"]) / count
    if terms:  # Each device holds the whole of each term.
      loss += sum(terms.values()) / parallel.num_sharing()
    batch_stats = state.batch_stats | updated.get("batch_stats", {})
    labels = state.labels
    if method.relabel is not None:
      labels = labels_lib.corrected(
        labels,
        batch["row"],
        method.relabel(outputs, batch, progress),
        batch["mask"],
      )
    return loss, (losses, terms, outputs["logits"], batch_stats, labels)

  grads, (losses, terms, logits, batch_stats, labels) = jax.grad(
    loss_fn, has_aux=True
  )(train_params)
  grads = jax.lax.psum(grads, parallel.AXIS)
  with jax.named_scope("optimizer"):
    updates, opt_state = tx.update(grads, state.opt_state, train_params)
    train_params = optax.apply_updates(train_params, updates)
  average = state.average
  if ema_decay:
    means = {"params": train_params, "batch_stats": batch_stats}
    with jax.named_scope("ema"):
      average = ema.update(average, means, decay=ema_decay)
  metrics = metrics_lib.from_batch(
    losses, logits, batch["label"], batch["mask"]
  )
  metrics = jax.lax.psum(metrics, parallel.AXIS).with_terms(terms)
  new_state = TrainState(
    step=state.step + 1,
    params=merge(train_params, frozen_params),
    batch_stats=batch_stats,
    opt_state=opt_state,
    # Not of the parameters: a step can be undone where it is taken, instead of
    # by reading all of them again, only if all this is known before.
    finite=state.finite
    & all_finite((metrics.loss_sum, optax.global_norm(grads)))
    & all_finite((batch_stats, _rates(opt_state))),
    average=average,
    labels=labels,
  )
  return keep_finite(state, new_state, metrics)


def _rates(opt_state: PyTree) -> list[Array]:
  """Returns the optimizer's scalars, such as the learning rate."""
  return [leaf for leaf in jax.tree.leaves(opt_state) if not leaf.ndim]


@jax.named_scope("is_finite")
def all_finite(tree: PyTree) -> Bool[Array, ""]:
  """Whether no value of any leaf is NaN or infinite.

  Vectors and scalars, of which a network has a hundred, are looked at as one: a
  TPU takes longer to start on each than to look at it.
  """
  leaves = jax.tree.leaves(tree)
  small = [leaf.ravel() for leaf in leaves if leaf.ndim < 2]
  large = [leaf for leaf in leaves if leaf.ndim >= 2]
  joined = [jnp.concatenate(small)] if small else []
  finite = [jnp.isfinite(leaf).all() for leaf in joined + large]
  return jnp.stack(finite).all()


@jax.named_scope("keep_finite")
def keep_finite(
  state: TrainState, new_state: TrainState, metrics: metrics_lib.Metrics
) -> tuple[TrainState, metrics_lib.Metrics]:
  """Undoes a step whose new state is not finite, but for saying so."""
  finite = new_state.finite
  # What is frozen stays the same array, which a loop over steps need not carry.
  kept = jax.tree.map(
    lambda new, old: new if new is old else jnp.where(finite, new, old),
    new_state,
    state,
  )
  metrics = jax.tree.map(lambda x: jnp.where(finite, x, 0), metrics)
  return dataclasses.replace(kept, finite=finite), metrics
