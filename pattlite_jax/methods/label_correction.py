"""Confidence, ranking and relabelling: what stands alone of ULC-AG and MTAC.

Uncertain Label Correction via Auxiliary Action Unit Graphs (Liu et al., arXiv
2204.11053) and the multi-task method of arXiv 2212.07144 publish no equations.
What they share is that of the Self-Cure Network (Wang et al., CVPR 2020;
kaiwang960112/Self-Cure-Network, `src/train.py`), which is implemented here: a
confidence weighs each image's logits, the surer part of a batch must be surer
by a margin than the rest, and an image of the rest is relabelled once the
network prefers another class by a margin. Their graph over action units is not
public; annotations of a user's own can train an auxiliary head.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from pattlite_jax.data import action_units
from pattlite_jax.method import CLASSIFIER, Batch, Method, Outputs, Terms
from pattlite_jax.methods.shared import Shared
from pattlite_jax.runtime import parallel
from pattlite_jax.runtime.lazy import optax


class LabelCorrection(nn.Module):
  """A trunk, the mean of its map, and a dense layer times a confidence."""

  num_classes: int
  trunk: nn.Module
  num_action_units: int = 0  # 0 for no auxiliary head.
  # In training, batch norm of the trunk uses and tracks the statistics of the
  # batch; False keeps those that it has.
  update_trunk_stats: bool = False

  @nn.compact
  def __call__(
    self,
    images: Float[Array, "B S S C"],
    mask: Bool[Array, "B"] | None = None,
    *,
    train: bool = False,
  ) -> Outputs:
    """Returns {"logits": f32[B, K]} for images in [-1, 1] (1 or 3 channels).

    In training also "confidence" f32[B] in (0, 1) and, with action units,
    their logits "action_units" f32[B, A] and "affect" f32[B, 2].
    """
    x = self.trunk(images, mask, update_stats=train and self.update_trunk_stats)
    x = x.astype(jnp.float32).mean(axis=(1, 2))
    confidence = nn.sigmoid(nn.Dense(1, name="confidence")(x))
    logits = confidence * nn.Dense(self.num_classes, name=CLASSIFIER)(x)
    outputs = {"logits": logits}
    if not train and not self.is_initializing():
      return outputs
    outputs["confidence"] = confidence[:, 0]
    if self.num_action_units:
      annotated = nn.Dense(self.num_action_units + 2, name="annotations")(x)
      outputs["action_units"] = annotated[:, :-2]
      outputs["affect"] = annotated[:, -2:]
    return outputs


def surer(
  confidence: Float[Array, "b"],
  mask: Bool[Array, "b"],
  share: float,
  axis_name: str | None = parallel.AXIS,
) -> Bool[Array, "b"]:
  """Returns which rows are of the surer part of the global batch.

  That has int(share n) of its n valid rows, but at least one, and one less
  than all. Of equal rows the first are surer; padding is in neither part.
  """
  everyone = jax.lax.stop_gradient(parallel.gather_batch(confidence, axis_name))
  valid = parallel.gather_batch(mask, axis_name)
  total = valid.sum()
  # f32 may leave a whole product a little below itself.
  count = jnp.floor(share * total + 1e-4).astype(int)
  count = jnp.clip(count, 1, total - 1)
  order = jnp.argsort(jnp.where(valid, -everyone, jnp.inf), stable=True)
  ranks = jnp.argsort(order)
  if axis_name is not None:
    ranks = ranks[parallel.global_rows(len(mask))]
  return mask & (ranks < count)


def _mean(values: Float[Array, "b"], chosen: Bool[Array, "b"]) -> Any:
  """Returns the mean over the global batch's chosen rows; 0 if none are."""
  chosen_values = jnp.where(chosen, values, 0.0)
  total, count = jax.lax.psum(
    (chosen_values.sum(), chosen.sum()), parallel.AXIS
  )
  return total / jnp.maximum(count, 1)


def rank_term(
  confidence: Float[Array, "b"],
  sure: Bool[Array, "b"],
  mask: Bool[Array, "b"],
  margin: float,
) -> Float[Array, ""]:
  """Returns max(0, margin - (mean of the sure - mean of the others)).

  0 for a batch of one image, which has no others.
  """
  gap = _mean(confidence, sure) - _mean(confidence, mask & ~sure)
  num_images = jax.lax.psum(mask.sum(), parallel.AXIS)
  return jnp.where(num_images > 1, jnp.maximum(0.0, margin - gap), 0.0)


def annotation_terms(outputs: Outputs, batch: Batch) -> Terms:
  """Returns what the auxiliary head loses, each a mean over annotations.

  The cross-entropy of action units that are there or not, and the squared
  error of valence and arousal; NaN is no annotation.
  """

  def mean_of(losses, truth):
    known = jnp.isfinite(truth) & batch["mask"][:, None]
    return _mean(losses.ravel(), known.ravel())

  units, affect = batch["action_units"], batch["affect"]
  of_units = optax.sigmoid_binary_cross_entropy(
    outputs["action_units"], jnp.nan_to_num(units)
  )
  of_affect = jnp.square(outputs["affect"] - jnp.nan_to_num(affect))
  return {
    "action_units": mean_of(of_units, units),
    "affect": mean_of(of_affect, affect),
  }


def build(shared: Shared) -> Method:
  """Returns the method."""
  names = action_units.columns(shared.settings.action_units)
  network = LabelCorrection(
    shared.num_classes,
    shared.trunk.module,
    len(names),
    shared.trunk.update_stats,
  )
  # Shares of a stage are f32, hence a little slack.
  epochs = shared.stage.epochs if shared.stage is not None else 1
  warm = shared.settings.relabel_after_epochs / max(epochs, 1) - 1e-6

  def loss(
    outputs: Outputs, batch: Batch, progress: Float[Array, ""]
  ) -> tuple[Float[Array, "B"], Terms]:
    del progress
    mask, confidence = batch["mask"], outputs["confidence"]
    sure = surer(confidence, mask, shared.settings.sure_share)
    terms = {
      "rank": rank_term(confidence, sure, mask, shared.settings.rank_margin)
    }
    if names:
      found = annotation_terms(outputs, batch)
      weight = shared.settings.annotation_weight
      terms |= {name: weight * term for name, term in found.items()}
    return shared.cross_entropy(outputs["logits"], batch), terms

  def relabel(
    outputs: Outputs, batch: Batch, progress: Float[Array, ""]
  ) -> Int[Array, "B"]:
    labels = batch["label"]
    probabilities = nn.softmax(outputs["logits"])
    own = jnp.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    sure = surer(
      outputs["confidence"], batch["mask"], shared.settings.sure_share
    )
    gap = probabilities.max(axis=-1) - own
    changes = (
      ~sure & (gap > shared.settings.relabel_margin) & (progress >= warm)
    )
    return jnp.where(changes, probabilities.argmax(axis=-1), labels)

  return shared.method(network, loss=loss, relabel=relabel)
