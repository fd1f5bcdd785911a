"""APViT: attentive pooling before and in a transformer (arXiv 2212.05463).

Xue et al., IEEE TAFFC 2022. Of the patches of a feature map only those with
much in them go to a small vision transformer, whose later blocks drop the
tokens that the class token attends to least (`PoolingViT` of
youqingxiaozhua/APViT, as `configs/apvit/RAF.py` sets it). The class' option
`sum_batch_mean`, which adds the batch's mean to every image, is off there and
left out here.
"""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from pattlite_jax.method import CLASSIFIER, Method, Outputs
from pattlite_jax.methods.shared import Shared
from pattlite_jax.models.parameter import parameter
from pattlite_jax.models.vit_pooling import (
  EMBEDDING_INIT,
  PoolingBlock,
  keep_largest,
)
from pattlite_jax.runtime.errors import UserError

_PATCHES_KEPT = 160, 196  # Of a map of 14 x 14; other maps keep their share.
_TOKENS_KEPT = 0.9  # In each block of the second half.


class APViT(nn.Module):
  """Trunk, projection, patch pooling, transformer, dense layer.

  With the paper's sizes and a map of 14 x 14 tokens, the blocks pass 160 x 4,
  144, 129, 116 and 104 of them on, beside the class token.
  """

  num_classes: int
  trunk: nn.Module
  depth: int
  width: int
  num_heads: int
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

    Raises:
      UserError: if the trunk's map is too small to be pooled.
    """
    features = self.trunk(
      images, mask, update_stats=train and self.update_trunk_stats
    ).astype(jnp.float32)
    x = self._pooled_patches(features, images.shape[1])
    token, position = (
      parameter(self, name, init, (1, 1, self.width))
      for name, init in (
        ("class_token", EMBEDDING_INIT),
        ("class_position", nn.initializers.zeros),
      )
    )
    first = jnp.broadcast_to(token + position, (x.shape[0], 1, self.width))
    x = jnp.concatenate([first, x], axis=1)
    for i in range(self.depth):
      rate = 1.0 if 2 * i < self.depth else _TOKENS_KEPT
      x = PoolingBlock(self.num_heads, rate, name=f"block_{i + 1}")(x)
    x = nn.LayerNorm(epsilon=1e-6, name="norm")(x)
    return {"logits": nn.Dense(self.num_classes, name=CLASSIFIER)(x[:, 0])}

  def _pooled_patches(
    self, features: Float[Array, "B H W C"], image_size: int
  ) -> Float[Array, "B M D"]:
    """A patch weighs the sum of magnitudes of what it is projected to."""
    batch, height, width, _ = features.shape
    kept, of = _PATCHES_KEPT
    count = height * width * kept // of
    if not count:
      raise UserError(
        f"config.method=apvit pools the patches of the trunk's map, which is "
        f"{height}x{width} for config.model.image_size={image_size}; it "
        "needs at least 2x2. Raise the image size, or cut the trunk earlier "
        "(config.model.cut)."
      )
    patches = nn.Dense(self.width, name="projection")(
      features.reshape(batch, height * width, -1)
    )
    weights = jnp.abs(patches).sum(-1)
    position = parameter(
      self, "patch_position", EMBEDDING_INIT, (1, height * width, self.width)
    )
    return keep_largest(patches + position, weights, count)


def build(shared: Shared) -> Method:
  """Returns APViT."""
  network = APViT(
    shared.num_classes,
    shared.trunk.module,
    shared.settings.depth,
    shared.settings.width,
    shared.settings.heads,
    shared.trunk.update_stats,
  )
  return shared.method(network)
