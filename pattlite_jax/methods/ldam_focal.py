"""Margins by class size, hard examples first, and weights that become balanced.

An approximation of the coupled regulation-imbalance loss with phased
progressive learning (Xu et al., arXiv 2205.12117), which is made for long tails
and not for faces: LDAM's margins (Cao et al., arXiv 1906.07413;
kaidic/LDAM-DRW, `losses.py`), the focal factor (Lin et al., arXiv 1708.02002),
and class weights that go from uniform to balanced while a stage trains. The
correction term of its loss and the dates of its phases are not public.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from pattlite_jax.method import CLASSIFIER, Batch, Method, Outputs, Terms
from pattlite_jax.methods.shared import Shared
from pattlite_jax.models import losses
from pattlite_jax.models.parameter import parameter
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.runtime.lazy import optax


class CosineClassifier(nn.Module):
  """Cosines of the features and each class' vector (LDAM's NormedLinear)."""

  num_classes: int

  @nn.compact
  def __call__(self, x: Float[Array, "B C"]) -> Float[Array, "B K"]:
    """Returns cosines in [-1, 1]; features of 0 give 0."""
    shape = (x.shape[-1], self.num_classes)
    kernel = parameter(self, "kernel", nn.initializers.lecun_normal(), shape)
    return _unit(x, axis=1) @ _unit(kernel, axis=0)


def _unit(x: Float[Array, "*n"], axis: int) -> Float[Array, "*n"]:
  # PyTorch's F.normalize divides by max(norm, 1e-12).
  squares = jnp.square(x).sum(axis, keepdims=True)
  return x * jax.lax.rsqrt(jnp.maximum(squares, 1e-24))


class LDAMFocal(nn.Module):
  """A trunk, the mean of its map, and cosines times `scale` as logits."""

  num_classes: int
  trunk: nn.Module
  scale: float
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
    """Returns {"logits": f32[B, K]} for images in [-1, 1] (1 or 3 channels)."""
    features = self.trunk(
      images, mask, update_stats=train and self.update_trunk_stats
    ).astype(jnp.float32)
    classifier = CosineClassifier(self.num_classes, name=CLASSIFIER)
    return {"logits": self.scale * classifier(features.mean(axis=(1, 2)))}


def margins(
  class_counts: Int[np.ndarray, "K"], largest: float
) -> Float[np.ndarray, "K"]:
  """Returns n_c^(-1/4), scaled so that the rarest class has `largest`.

  Raises:
    UserError: if a class has no training images.
  """
  absent = np.flatnonzero(class_counts == 0)
  if len(absent):
    raise UserError(
      "config.method=ldam_focal gives each class a margin by its number of "
      f"training images, which are {class_counts.tolist()} in the order of the "
      f"classes: there are none of class {absent[0] + 1}. Add some, or choose "
      "another method."
    )
  roots = class_counts.astype(float) ** -0.25
  return (largest * roots / roots.max()).astype(np.float32)


def class_weights(
  balanced: Float[Array, "K"],
  shares: Float[Array, "K"],
  phase: Float[Array, ""],
) -> Float[Array, "K"]:
  """Returns weights between all 1 (phase 0) and `balanced` (phase 1).

  `shares` are those of the classes in the training images, over which the
  weights have a mean of 1 throughout.
  """
  weights = balanced**phase
  return weights / (shares * weights).sum()


def focal_ldam(
  logits: Float[Array, "B K"],
  labels: Int[Array, "B"],
  *,
  shifts: Float[Array, "K"],
  gamma: float,
  label_smoothing: float,
) -> Float[Array, "B"]:
  """Returns (1 - p)^gamma times the cross-entropy, both with margins.

  The label's logit is lowered by `shifts[label]`, the margin in logits, and p
  is the probability that the label has then.
  """
  labelled = jax.nn.one_hot(labels, logits.shape[-1])
  logits = logits - labelled * shifts
  targets = optax.smooth_labels(labelled, label_smoothing)
  entropies = optax.softmax_cross_entropy(logits, targets)
  if not gamma:  # Whose power has no gradient where p is 1.
    return entropies
  log_p = (labelled * jax.nn.log_softmax(logits)).sum(-1)
  return (-jnp.expm1(log_p)) ** gamma * entropies


def build(shared: Shared) -> Method:
  """Returns the method.

  Raises:
    UserError: as `margins`.
  """
  # The loss is its own: that of `shared` has constant weights and no margins.
  network = LDAMFocal(
    shared.num_classes,
    shared.trunk.module,
    shared.settings.logit_scale,
    shared.trunk.update_stats,
  )
  class_counts = shared.class_counts
  if class_counts is None:  # In scoring, which takes no loss.
    class_counts = np.ones(shared.num_classes, int)
  smoothing = shared.stage.label_smoothing if shared.stage is not None else 0.0
  return shared.method(
    network, loss=_loss(shared.settings, class_counts, smoothing)
  )


def _loss(
  settings: ml_collections.ConfigDict,
  class_counts: Int[np.ndarray, "K"],
  label_smoothing: float,
) -> Callable[..., Any]:
  shifts = settings.logit_scale * margins(class_counts, settings.largest_margin)
  balanced = losses.balanced_class_weights(class_counts)
  shares = (class_counts / class_counts.sum()).astype(np.float32)
  start, end = settings.balanced_from, settings.balanced_by

  def loss(
    outputs: Outputs, batch: Batch, progress: Float[Array, ""]
  ) -> tuple[Float[Array, "B"], Terms]:
    phase = jnp.clip((progress - start) / max(end - start, 1e-9), 0.0, 1.0)
    weights = class_weights(jnp.asarray(balanced), jnp.asarray(shares), phase)
    own = focal_ldam(
      outputs["logits"],
      batch["label"],
      shifts=jnp.asarray(shifts),
      gamma=settings.focal_gamma,
      label_smoothing=label_smoothing,
    )
    return weights[batch["label"]] * own, {}

  return loss
