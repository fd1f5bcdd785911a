"""CBAM, the convolutional block attention module (arXiv 1807.06521).

Woo et al., ECCV 2018; Jongchan/attention-module, `MODELS/cbam.py`.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from pattlite_jax.models.batch_norm import BatchNorm
from pattlite_jax.models.convolution import Conv


class CBAM(nn.Module):
  """Scales the channels of a map, then its positions, by gates in (0, 1)."""

  use_running_average: bool
  axis_name: str | None = None
  reduction: int = 16

  @nn.compact
  def __call__(
    self, x: Float[Array, "B H W C"], mask: Bool[Array, "B"] | None = None
  ) -> Float[Array, "B H W C"]:
    """Gates each image's map; `mask` is for the batch norm of the gate."""
    dtype, x = x.dtype, x.astype(jnp.float32)
    x = x * nn.sigmoid(self._channels(x))[:, None, None, :]
    pooled = jnp.stack([take_largest(x, -1), x.mean(axis=-1)], axis=-1)
    gate = Conv(1, (7, 7), padding=3, use_bias=False, name="positions")(pooled)
    gate = BatchNorm(
      use_running_average=self.use_running_average,
      axis_name=self.axis_name,
      epsilon=1e-5,
      unbiased=True,
      name="positions_bn",
    )(gate, mask)
    return (x * nn.sigmoid(gate)).astype(dtype)

  def _channels(self, x: Float[Array, "B H W C"]) -> Float[Array, "B C"]:
    channels = x.shape[-1]
    squeeze = nn.Dense(max(channels // self.reduction, 1), name="squeeze")
    excite = nn.Dense(channels, name="excite")
    positions = x.reshape(x.shape[0], -1, channels)
    pools = positions.mean(axis=1), take_largest(positions, 1)
    mean, largest = (excite(nn.relu(squeeze(pool))) for pool in pools)
    return mean + largest


def take_largest(x: Float[Array, "*n"], axis: int) -> Float[Array, "*m"]:
  """Returns the largest value along an axis; its gradient goes to the first.

  That of `x.max` compares x with what it returned, and is 0 / 0 where XLA
  computes x twice with other roundings.
  """
  first = jnp.argmax(jax.lax.stop_gradient(x), axis, keepdims=True)
  places = jax.lax.broadcasted_iota(first.dtype, x.shape, axis % x.ndim)
  return jnp.where(places == first, x, 0).sum(axis)
