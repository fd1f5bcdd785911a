"""PyTorch's layers, in NHWC, for what was published in it."""

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from pattlite_jax.models.batch_norm import BatchNorm
from pattlite_jax.models.convolution import Conv
from pattlite_jax.models.parameter import parameter
from pattlite_jax.models.pointwise import PointwiseConv

# torch.nn.BatchNorm2d's; its momentum is counted from the other end.
EPSILON, MOMENTUM = 1e-5, 0.9
HE_NORMAL = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
# What its layers draw their kernels from: uniform within 1 / sqrt(fan in).
DEFAULT_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def batch_norm(
  name: str, update_stats: bool, axis_name: str | None
) -> BatchNorm:
  """torch.nn.BatchNorm1d or 2d; without `update_stats`, in eval mode."""
  return BatchNorm(
    use_running_average=not update_stats,
    axis_name=axis_name,
    momentum=MOMENTUM,
    epsilon=EPSILON,
    unbiased=True,
    name=name,
  )


class PReLU(nn.Module):
  """torch.nn.PReLU: negative values times a slope of their channel."""

  @nn.compact
  def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
    slope = parameter(
      self, "slope", nn.initializers.constant(0.25), x.shape[-1:]
    )
    return jnp.where(x >= 0, x, x * slope.astype(x.dtype))


class TorchTrunk(nn.Module):
  """The layers of a trunk, all of them by its side, under one flat name each.

  Every stage's output is sown under "intermediates" as <stage>_output.
  """

  axis_name: str | None = None  # Devices that share batch-norm statistics.
  dtype: DTypeLike = jnp.float32  # In which it computes; parameters are f32.
  folded: bool = False  # For variables out of `folding.fold_trunk`.

  def conv(
    self,
    x: Float[Array, "B H W C"],
    name: str,
    features: int,
    *,
    size: int = 3,
    stride: int = 1,
    use_bias: bool = False,
  ) -> Float[Array, "B P Q D"]:
    """Convolves with a kernel of `size`, padded by half of it."""
    if size == 1:  # A matrix product.
      return PointwiseConv(
        features,
        use_bias=use_bias,
        kernel_init=HE_NORMAL,
        dtype=self.dtype,
        name=name,
      )(x[:, ::stride, ::stride])
    return Conv(
      features,
      (size, size),
      (stride, stride),
      padding=size // 2,
      use_bias=use_bias,
      kernel_init=HE_NORMAL,
      dtype=self.dtype,
      name=name,
    )(x)

  def norm(
    self,
    x: Float[Array, "B H W C"],
    name: str,
    mask: Bool[Array, "B"] | None,
    update_stats: bool,
  ) -> Float[Array, "B H W C"]:
    """Batch norm over the valid rows of the global batch."""
    return batch_norm(name, update_stats, self.axis_name)(x, mask)

  def conv_norm(
    self,
    x: Float[Array, "B H W C"],
    name: str,
    features: int,
    mask: Bool[Array, "B"] | None,
    update_stats: bool,
    *,
    size: int = 3,
    stride: int = 1,
  ) -> Float[Array, "B P Q D"]:
    """A convolution and the batch norm after it, which may be folded."""
    x = self.conv(
      x, name, features, size=size, stride=stride, use_bias=self.folded
    )
    if self.folded:
      return x
    return self.norm(x, f"{name}_bn", mask, update_stats)


def colours(images: Float[Array, "B H W C"]) -> Float[Array, "B H W 3"]:
  """Returns images of three channels; grey ones may come with one."""
  return jnp.broadcast_to(images, (*images.shape[:-1], 3))


def max_pool(x: Float[Array, "B H W C"]) -> Float[Array, "B P Q C"]:
  """torch.nn.MaxPool2d(3, stride=2, padding=1)."""
  return nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
