"""The plain network that every other method is compared with.

A trunk, the mean of its feature map, one dense layer, cross-entropy:
fine-tuning as every paper of the field has it in the first row of its ablation.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import ml_collections
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from pattlite_jax.data import augment as augment_lib
from pattlite_jax.method import CLASSIFIER, Batch, Method, Outputs, Terms
from pattlite_jax.models.trunks import Trunk


class Baseline(nn.Module):
  """Features, their mean over the map, and one dense layer."""

  num_classes: int
  trunk: nn.Module
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
    dense = nn.Dense(self.num_classes, name=CLASSIFIER)
    return {"logits": dense(features.mean(axis=(1, 2)))}


def build(
  settings: ml_collections.ConfigDict,
  num_classes: int,
  *,
  stage: ml_collections.ConfigDict | None,
  class_counts: Int[np.ndarray, "K"] | None,
  trunk: Trunk,
  augment: Callable[..., Any],
  cross_entropy: Callable[..., Any],
) -> Method:
  """Returns the baseline; `settings` are config.model."""
  network = Baseline(num_classes, trunk.module, trunk.update_stats)

  def loss(
    outputs: Outputs, batch: Batch, progress: Float[Array, ""]
  ) -> tuple[Float[Array, "B"], Terms]:
    del progress
    return cross_entropy(outputs["logits"], batch), {}

  return Method(
    network=network,
    alone=network,
    init=trunk.init(network),
    views=augment,
    prepare=functools.partial(
      augment_lib.prepare, image_size=settings.image_size
    ),
    loss=loss,
    fold=trunk.fold,
  )
