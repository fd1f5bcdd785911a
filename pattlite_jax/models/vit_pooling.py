"""Attentive pooling of patches and tokens, and the transformer around it.

As APViT computes it (Xue et al., arXiv 2212.05463; youqingxiaozhua/APViT,
`mmcls/models/backbones/modules/vit_pooling.py` and `models/utils/top_pool.py`).
Axes: B images, N tokens each, D features a token.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

EMBEDDING_INIT = nn.initializers.truncated_normal(0.02)
_LayerNorm = functools.partial(nn.LayerNorm, epsilon=1e-6)


def keep_largest(
  tokens: Float[Array, "B N D"], weights: Float[Array, "B N"], count: int
) -> Float[Array, "B {count} D"]:
  """Returns the `count` tokens of largest weight, in their own order.

  Nothing flows back to the weights, as the choice has no gradient.
  """
  _, chosen = jax.lax.top_k(jax.lax.stop_gradient(weights), count)
  return jnp.take_along_axis(tokens, jnp.sort(chosen)[:, :, None], axis=1)


class PoolingBlock(nn.Module):
  """A transformer block that keeps a share of its tokens.

  A token weighs what the class token's attention to it is before the softmax,
  added over the heads; the class token, the first, always stays. Pooling comes
  after the attention's residual, before the MLP.
  """

  num_heads: int
  keep_rate: float = 1.0
  mlp_ratio: int = 3

  @nn.compact
  def __call__(self, x: Float[Array, "B N D"]) -> Float[Array, "B M D"]:
    """Returns M = 1 + max(int(keep_rate (N - 1)), 1) tokens."""
    attended, weights = self._attention(_LayerNorm(name="norm1")(x))
    x = x + attended
    others = x.shape[1] - 1
    count = max(int(others * self.keep_rate), 1)
    if count < others:
      kept = keep_largest(x[:, 1:], weights[:, 1:], count)
      x = jnp.concatenate([x[:, :1], kept], axis=1)
    return x + self._mlp(_LayerNorm(name="norm2")(x))

  def _attention(
    self, x: Float[Array, "B N D"]
  ) -> tuple[Float[Array, "B N D"], Float[Array, "B N"]]:
    batch, length, width = x.shape
    qkv = _dense(3 * width, "qkv", use_bias=False)(x)
    qkv = qkv.reshape(batch, length, 3, self.num_heads, -1)
    q, k, v = (qkv[:, :, i] for i in range(3))  # Each [B, N, heads, D / heads].
    scores = jnp.einsum("bnhd,bmhd->bhnm", q, k) * q.shape[-1] ** -0.5
    mixed = jnp.einsum("bhnm,bmhd->bnhd", nn.softmax(scores), v)
    out = _dense(width, "proj")(mixed.reshape(batch, length, width))
    return out, scores[:, :, 0].sum(axis=1)

  def _mlp(self, x: Float[Array, "B N D"]) -> Float[Array, "B N D"]:
    hidden = _dense(self.mlp_ratio * x.shape[-1], "fc1")(x)
    return _dense(x.shape[-1], "fc2")(nn.gelu(hidden, approximate=False))


def _dense(features: int, name: str, *, use_bias: bool = True) -> nn.Dense:
  return nn.Dense(
    features, use_bias=use_bias, kernel_init=EMBEDDING_INIT, name=name
  )
