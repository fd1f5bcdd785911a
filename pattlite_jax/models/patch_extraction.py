"""The patch extraction block of PAtt-Lite (arXiv 2306.09626, section III)."""

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from pattlite_jax.models.batch_norm import BatchNorm
from pattlite_jax.models.depthwise import DepthwiseConv
from pattlite_jax.models.pointwise import PointwiseConv
from pattlite_jax.runtime.errors import UserError


class SeparableConv(nn.Module):
  """Keras' SeparableConv2D: depthwise without bias, then 1x1 with bias."""

  features: int
  kernel_size: tuple[int, int]
  strides: tuple[int, int]
  padding: str
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[Array, "B H W C"]
  ) -> Float[Array, "B P Q {self.features}"]:
    x = DepthwiseConv(
      kernel_size=self.kernel_size,
      strides=self.strides,
      padding=self.padding,
      name="depthwise",
    )(x)
    return PointwiseConv(
      self.features,
      kernel_init=nn.initializers.glorot_uniform(),
      dtype=self.dtype,
      name="pointwise",
    )(x)


class PatchExtraction(nn.Module):
  """Cuts a feature map into a grid of patches: 14x14x512 -> 2x2x256 at 224.

  Separable 4x4 "same" with stride `stride`, separable 2x2 stride 2 "valid",
  1x1 convolution; a ReLU after each. `stride` is 4 in the paper; 2 suits half
  the input size. `batch_norm` normalises before each ReLU, which the paper does
  not: without it a sixth of the channels may never fire.
  """

  features: int = 256
  stride: int = 4
  batch_norm: bool = False
  axis_name: str | None = None  # Devices that share batch-norm statistics.
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "B H W C"],
    mask: Bool[Array, "B"] | None = None,
    *,
    train: bool = False,
  ) -> Float[Array, "B P Q {self.features}"]:
    """Returns the patches; rows where `mask` is False count in no statistic.

    Raises:
      UserError: if the feature map is too small for a patch.
    """
    height, width = x.shape[1:3]
    smallest = self.stride + 1  # Two patches each way for the 2x2 layer.
    if min(height, width) < smallest:
      raise UserError(
        f"Patch extraction got a {height}x{width} feature map, but needs at "
        f"least {smallest}x{smallest} at patch stride {self.stride}: enlarge "
        "config.model.image_size, lower config.model.patch_stride or cut the "
        "trunk earlier (config.model.cut)."
      )
    x = SeparableConv(
      self.features,
      (4, 4),
      strides=(self.stride, self.stride),
      padding="SAME",
      dtype=self.dtype,
      name="patch1",
    )(x)
    x = self._activated("patch1_bn", x, mask, train)
    x = SeparableConv(
      self.features,
      (2, 2),
      strides=(2, 2),
      padding="VALID",
      dtype=self.dtype,
      name="patch2",
    )(x)
    x = self._activated("patch2_bn", x, mask, train)
    x = PointwiseConv(
      self.features,
      kernel_init=nn.initializers.glorot_uniform(),
      dtype=self.dtype,
      name="patch3",
    )(x)
    return self._activated("patch3_bn", x, mask, train)

  def _activated(
    self,
    name: str,
    x: Float[Array, "B P Q D"],
    mask: Bool[Array, "B"] | None,
    train: bool,
  ) -> Float[Array, "B P Q D"]:
    if self.batch_norm:
      x = BatchNorm(
        use_running_average=not train, axis_name=self.axis_name, name=name
      )(x, mask)
    return nn.relu(x)
