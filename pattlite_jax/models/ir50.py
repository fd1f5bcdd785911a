"""The first three stages of IR-50, a network for faces, as face.evoLVe's.

Deng et al. 2019 (ArcFace, arXiv 1801.07698); face.evoLVe's
backbone/model_irse.py, `Backbone(..., 50, mode="ir")`. APViT cuts it here.
"""

from flax import linen as nn
from jaxtyping import Array, Bool, Float

from pattlite_jax.method import Refine
from pattlite_jax.models.torch_layers import PReLU, TorchTrunk, colours

# Channels and units of the stages; each halves its input's size.
STAGES = ((64, 3), (128, 4), (256, 14))


class IR50(TorchTrunk):
  """Maps 112x112 faces to 14x14 with 256 channels.

  The batch norm that begins a unit comes before a padded convolution, into
  which it cannot be folded; so `folded` must stay False.
  """

  @nn.compact
  def __call__(
    self,
    images: Float[Array, "B H W C"],
    mask: Bool[Array, "B"] | None = None,
    *,
    update_stats: bool = False,
    refine: Refine | None = None,
  ) -> Float[Array, "B P Q 256"]:
    """Returns the third stage's output for images in [-1, 1], as it is trained.

    With `update_stats` batch norm uses, and tracks, the batch's statistics:
    those of the rows where `mask` is True. `refine` takes what each unit adds
    to its shortcut.
    """
    assert not self.folded
    x = colours(images).astype(self.dtype)
    x = self.conv_norm(x, "input_conv", 64, mask, update_stats)
    x = PReLU(name="input_prelu")(x)
    self.sow("intermediates", "input_output", x)
    unit = 0
    for stage, (features, count) in enumerate(STAGES, start=1):
      for i in range(count):
        stride = 2 if i == 0 else 1
        x = self._unit(
          x, f"body{unit}", features, stride, mask, update_stats, refine
        )
        unit += 1
      self.sow("intermediates", f"stage{stage}_output", x)
    return x

  def _unit(
    self,
    x: Float[Array, "B H W C"],
    name: str,
    features: int,
    stride: int,
    mask: Bool[Array, "B"] | None,
    update_stats: bool,
    refine: Refine | None,
  ) -> Float[Array, "B P Q D"]:
    """`bottleneck_IR`: norm, 3x3, PReLU, 3x3 with the stride, norm."""
    y = self.norm(x, f"{name}_pre_bn", mask, update_stats)
    y = self.conv(y, f"{name}_conv1", features)
    y = PReLU(name=f"{name}_prelu")(y)
    y = self.conv_norm(
      y, f"{name}_conv2", features, mask, update_stats, stride=stride
    )
    if x.shape[-1] == features:
      x = x[:, ::stride, ::stride]  # MaxPool2d(1, stride).
    else:
      x = self.conv_norm(
        x,
        f"{name}_shortcut",
        features,
        mask,
        update_stats,
        size=1,
        stride=stride,
      )
    if refine is not None:
      y = refine(name, y)
    return x + y
