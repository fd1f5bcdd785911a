"""The plain network that every other method is compared with.

A trunk, the mean of its feature map, one dense layer, cross-entropy:
fine-tuning as every paper of the field has it in the first row of its ablation.
"""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from pattlite_jax.method import CLASSIFIER, Method, Outputs
from pattlite_jax.methods.shared import Shared


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


def build(shared: Shared) -> Method:
  """Returns the baseline."""
  network = Baseline(
    shared.num_classes, shared.trunk.module, shared.trunk.update_stats
  )
  return shared.method(network)
