"""ResNet-18 and ResNet-50 up to their last feature map, as torchvision's.

He et al. 2016 (arXiv 1512.03385), with the stride in the 3x3 convolution of a
bottleneck (torchvision/models/resnet.py, "v1.5").
"""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from pattlite_jax.method import Refine
from pattlite_jax.models.torch_layers import TorchTrunk, colours, max_pool

# ImageNet's, of pixels in [0, 1]; what torchvision's weights were trained with.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
STAGE_FEATURES = (64, 128, 256, 512)  # A quarter of a bottleneck's output.


class ResNet(TorchTrunk):
  """A stem and four stages: a 32nd of the input's size, rounded up.

  ResNet-18 has 512 channels and 11,176,512 parameters, ResNet-50 2048 and
  23,508,032.
  """

  blocks: tuple[int, ...] = (2, 2, 2, 2)  # Of each stage.
  bottleneck: bool = False

  @nn.compact
  def __call__(
    self,
    images: Float[Array, "B H W C"],
    mask: Bool[Array, "B"] | None = None,
    *,
    update_stats: bool = False,
    refine: Refine | None = None,
  ) -> Float[Array, "B P Q D"]:
    """Returns the last feature map for images in [-1, 1] (1 or 3 channels).

    With `update_stats` batch norm uses, and tracks, the batch's statistics:
    those of the rows where `mask` is True. `refine` takes what each block adds
    to its shortcut.
    """
    x = (colours(images) / 2 + 0.5 - jnp.array(MEAN)) / jnp.array(DEVIATION)
    x = x.astype(self.dtype)
    x = self.conv_norm(x, "conv1", 64, mask, update_stats, size=7, stride=2)
    x = max_pool(nn.relu(x))
    self.sow("intermediates", "stem_output", x)
    for stage, count in enumerate(self.blocks, start=1):
      for block in range(count):
        stride = 2 if stage > 1 and block == 0 else 1
        x = self._block(
          x,
          f"layer{stage}_{block}",
          STAGE_FEATURES[stage - 1],
          stride,
          mask,
          update_stats,
          refine,
        )
      self.sow("intermediates", f"layer{stage}_output", x)
    return x

  def _block(
    self,
    x: Float[Array, "B H W C"],
    name: str,
    features: int,
    stride: int,
    mask: Bool[Array, "B"] | None,
    update_stats: bool,
    refine: Refine | None,
  ) -> Float[Array, "B P Q D"]:
    """A residual block; the shortcut has a convolution where shapes differ."""
    if self.bottleneck:
      sizes, strides = (1, 3, 1), (1, stride, 1)
      widths = (features, features, 4 * features)
    else:
      sizes, strides = (3, 3), (stride, 1)
      widths = (features, features)
    y = x
    for i, (size, step, width) in enumerate(
      zip(sizes, strides, widths, strict=True), start=1
    ):
      y = nn.relu(y) if i > 1 else y
      y = self.conv_norm(
        y, f"{name}_conv{i}", width, mask, update_stats, size=size, stride=step
      )
    if stride > 1 or x.shape[-1] != widths[-1]:
      x = self.conv_norm(
        x,
        f"{name}_downsample",
        widths[-1],
        mask,
        update_stats,
        size=1,
        stride=stride,
      )
    if refine is not None:
      y = refine(name, y)
    return nn.relu(x + y)
