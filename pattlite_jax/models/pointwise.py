"""1x1 convolution as one matrix product over all pixels.

XLA's CPU backend runs its convolutions, 1x1 ones too, at a fraction of the
speed of its matrix products; elsewhere both become the same kernels.
"""

from collections.abc import Callable

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float


class PointwiseConv(nn.Module):
  """Keras' Conv2D of kernel size 1, computed in `dtype`."""

  features: int
  use_bias: bool = True
  kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[Array, "B H W C"], gain: Float[Array, "D"] | None = None
  ) -> Float[Array, "B H W {self.features}"]:
    """Returns the convolution; `gain` multiplies each feature's kernel."""
    shape = (1, 1, x.shape[-1], self.features)
    kernel = self.param("kernel", self.kernel_init, shape)
    if gain is not None:
      kernel = kernel * gain
    y = x.astype(self.dtype) @ kernel[0, 0].astype(self.dtype)
    if self.use_bias:
      bias = self.param("bias", nn.initializers.zeros, (self.features,))
      y += bias.astype(self.dtype)
    return y
