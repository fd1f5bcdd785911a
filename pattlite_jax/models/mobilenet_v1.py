"""MobileNetV1 with Keras' layers, cut after any of them.

Architecture: Howard et al. 2017 (arXiv 1704.04861), as in
keras.applications.MobileNet(alpha=1.0): batch norm with epsilon 1e-3, ReLU6,
and stride-2 depthwise layers that pad bottom and right only.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from pattlite_jax.method import Refine
from pattlite_jax.models import packed_columns
from pattlite_jax.models.batch_norm import BatchNorm
from pattlite_jax.models.depthwise import DepthwiseConv
from pattlite_jax.models.image_conv import ImageConv
from pattlite_jax.models.mobilenet_v1_layers import (
  BLOCKS,
  LAYER_NAMES,
  LAYERS,
  PATT_LITE_CUT,
  Layer,
)
from pattlite_jax.models.pointwise import PointwiseConv
from pattlite_jax.runtime import parallel

# What can pack columns, until its features fill the lanes.
_PACKED = ("conv3x3", "bn", "relu6", "depthwise", "pointwise")
_BLOCK_ENDS = {f"conv_pw_{i}_relu" for i in range(1, len(BLOCKS) + 1)}


@jax.custom_vjp
def relu6(x: Float[Array, "*n"]) -> Float[Array, "*n"]:
  """min(max(x, 0), 6), whose gradient needs nothing but its own output.

  The next layer keeps that output anyway; autodiff would keep x besides. NaN
  stays NaN.
  """
  if parallel.platform() == "cpu":
    # One instruction for each bound; jnp.clip takes more, for NaN.
    x = jnp.where(x < 0, jnp.zeros_like(x), x)
    return jnp.where(x > 6, jnp.full_like(x, 6), x)
  return jnp.clip(x, 0, 6)


def _relu6_fwd(x):
  y = relu6(x)
  return y, y


def _relu6_bwd(y, cotangent):
  return (jnp.where((y > 0) & (y < 6), cotangent, 0),)


relu6.defvjp(_relu6_fwd, _relu6_bwd)


class MobileNetV1(nn.Module):
  """The layers of Keras' MobileNetV1 up to and including `cut`.

  Each layer's output is sown under "intermediates" as <Keras name>_output; on
  TPUs, where the first layers pack columns, without the first pad layer's.
  """

  cut: str = PATT_LITE_CUT
  stem_stride: int = 2  # Of the first convolution; 1 keeps small faces' pixels.
  axis_name: str | None = None  # Devices that share batch-norm statistics.
  dtype: DTypeLike = jnp.float32  # In which it computes; parameters are f32.
  folded: bool = False  # For variables out of `folding.fold_trunk`.

  @nn.compact
  def __call__(
    self,
    images: Float[Array, "B H W C"],
    mask: Bool[Array, "B"] | None = None,
    *,
    update_stats: bool = False,
    refine: Refine | None = None,
  ) -> Float[Array, "B ..."]:
    """Returns the output of `cut` for images scaled to [-1, 1].

    C is 3, or 1 for grey images, which give what three equal channels give.
    With `update_stats` batch norm uses, and tracks, the batch's statistics:
    those of the rows where `mask` is True. `refine` takes what each of the
    blocks 1 to 13 gives, and the name of its last convolution.
    """
    assert self.cut in LAYER_NAMES, self.cut
    x = images.astype(self.dtype)
    layers = LAYERS[: LAYER_NAMES.index(self.cut) + 1]
    columns = self._columns(x, refine)
    for layer, following in zip(layers, (*layers[1:], None), strict=True):
      normalised = following is not None and following.kind == "bn"
      if layer.kind == "pad" and following is not None and columns > 1:
        continue  # The next layer pads.
      if layer.kind not in _PACKED or layer.features >= packed_columns.LANES:
        x, columns = packed_columns.unpack(x, columns), 1
      if not (self.folded and layer.kind == "bn"):
        operation = self._operation(layer, update_stats, normalised, columns)
        x = operation(x, mask) if layer.kind == "bn" else operation(x)
      if layer.kind == "depthwise" and columns > 1:
        columns //= layer.stride
      if refine is not None and layer.name in _BLOCK_ENDS:
        x = refine(layer.name.removesuffix("_relu"), x)
      seen = packed_columns.unpack(x, columns)
      self.sow("intermediates", f"{layer.name}_output", seen)
    return packed_columns.unpack(x, columns)

  def _columns(self, images: jax.Array, refine: Refine | None) -> int:
    """Returns how many columns the first layers pack; see `packed_columns`."""
    if parallel.platform() != "tpu" or refine is not None:
      return 1
    first = LAYERS[0].with_stem(self.stem_stride)
    width, rest = divmod(images.shape[2], first.stride)
    return 1 if rest else packed_columns.fitting(width, first.features)

  def _operation(
    self, layer: Layer, update_stats: bool, normalised: bool, columns: int
  ) -> Callable[..., jax.Array]:
    name, kind, features, stride = layer.with_stem(self.stem_stride)
    use_bias = self.folded and normalised
    if kind == "conv3x3":
      return ImageConv(
        features,
        (3, 3),
        (stride, stride),
        use_bias=use_bias,
        columns=columns,
        name=name,
      )
    if kind == "pointwise":
      return PointwiseConv(
        features,
        use_bias=use_bias,
        dtype=self.dtype,
        columns=columns,
        name=name,
      )
    if kind == "depthwise":
      # A stride of 2 follows a pad layer, as in Keras: "same" would pad an
      # odd-sized input on both sides. Packed columns are padded here.
      padding = "SAME" if stride == 1 else "VALID"
      if columns > 1:
        padding = ((1, 1),) * 2 if stride == 1 else ((0, 1),) * 2
      return DepthwiseConv(
        kernel_size=(3, 3),
        strides=(stride, stride),
        padding=padding,
        use_bias=use_bias,
        columns=columns,
        name=name,
      )
    if kind == "bn":
      return BatchNorm(
        use_running_average=not update_stats,
        axis_name=self.axis_name,
        columns=columns,
        name=name,
      )
    if kind == "logits":
      return PointwiseConv(features, dtype=self.dtype, name=name)
    return {
      "relu6": relu6,
      "pad": lambda x: jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0))),
      "pool": lambda x: x.mean(axis=(1, 2), keepdims=True),
      "dropout": lambda x: x,  # The trunk always runs as in inference.
      "flatten": lambda x: x.reshape(x.shape[0], -1),
      "softmax": nn.softmax,
    }[kind]
