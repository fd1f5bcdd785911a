"""1x1 convolution as one matrix product over all pixels.

XLA's CPU backend runs its convolutions, 1x1 ones too, at a fraction of the
speed of its matrix products; elsewhere both become the same kernels.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from pattlite_jax.models import packed_columns
from pattlite_jax.models.parameter import parameter
from pattlite_jax.runtime import parallel


@jax.custom_vjp
def matmul(
  x: Float[Array, "*n C"], kernel: Float[Array, "C D"]
) -> Float[Array, "*n D"]:
  """Returns x @ kernel, whose gradients stay plain products on CPUs.

  XLA would otherwise fuse what the cotangent comes from into a transposed copy
  of it, which takes longer than the product.
  """
  return x @ kernel


def _matmul_fwd(x, kernel):
  return matmul(x, kernel), (x, kernel)


def _matmul_bwd(residuals, cotangent):
  x, kernel = residuals

  def products(x, kernel, cotangent):
    rows = x.reshape(-1, x.shape[-1])
    cotangents = cotangent.reshape(-1, cotangent.shape[-1])
    return cotangent @ kernel.T, rows.T @ cotangents

  def from_barrier(x, kernel, cotangent):
    return products(x, kernel, lax.optimization_barrier(cotangent))

  return lax.platform_dependent(
    x, kernel, cotangent, cpu=from_barrier, default=products
  )


matmul.defvjp(_matmul_fwd, _matmul_bwd)


class PointwiseConv(nn.Module):
  """Keras' Conv2D of kernel size 1, computed in `dtype`."""

  features: int
  use_bias: bool = True
  kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()
  dtype: DTypeLike = jnp.float32
  columns: int = 1  # Of x in a place; see `packed_columns`.

  @nn.compact
  def __call__(
    self, x: Float[Array, "B H W C"]
  ) -> Float[Array, "B H W {self.columns}*{self.features}"]:
    shape = (1, 1, x.shape[-1] // self.columns, self.features)
    kernel = parameter(self, "kernel", self.kernel_init, shape)
    on_tpu = parallel.platform() == "tpu"  # Where a product copies its maps.
    multiply = packed_columns.pointwise if on_tpu else matmul
    y = multiply(x.astype(self.dtype), jnp.asarray(kernel[0, 0], self.dtype))
    if self.use_bias:
      bias = parameter(self, "bias", nn.initializers.zeros, (self.features,))
      y += packed_columns.spread(bias, y).astype(self.dtype)
    return y
