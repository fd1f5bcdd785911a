"""CBAM, the convolutional block attention module (arXiv 1807.06521).

Woo et al., ECCV 2018; Jongchan/attention-module, `MODELS/cbam.py`.
"""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from pattlite_jax.models.batch_norm import BatchNorm


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
    pooled = jnp.stack([x.max(axis=-1), x.mean(axis=-1)], axis=-1)
    gate = nn.Conv(1, (7, 7), padding=3, use_bias=False, name="positions")(
      pooled
    )
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
    pools = x.mean(axis=(1, 2)), x.max(axis=(1, 2))
    mean, largest = (excite(nn.relu(squeeze(pool))) for pool in pools)
    return mean + largest
