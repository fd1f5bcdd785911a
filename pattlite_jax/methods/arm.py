"""Amending Representation Module (Shi, Zhu, Liang; arXiv 2103.10189).

The channels of the feature map become the pixels of a few larger maps, one
32x32 window slides over them without padding, so that the border, which the
trunk's zero padding has eroded, counts for less than the centre. As released
(`src/Networks.py`, `Amend_raf`), the mean of the *test* batch is then added
to each image: one offset of the logits for all of the batch, which pulls sorted
batches to their class. `sharing` has this, and two ways to do without.
"""

import functools
import math
import operator

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from pattlite_jax.method import CLASSIFIER, Method, Outputs
from pattlite_jax.methods.shared import Shared
from pattlite_jax.models.parameter import parameter
from pattlite_jax.models.torch_layers import DEFAULT_INIT, MOMENTUM, batch_norm
from pattlite_jax.runtime import parallel
from pattlite_jax.runtime.errors import UserError

WINDOW, STRIDE = 32, 8


def factor(channels: int) -> int:
  """Returns how much larger the arranged maps are: 16 for 512 channels.

  The largest power of 2 that leaves two maps or more: the paper's two for 512
  and 2048 channels, four for 256.
  """
  found = 1
  while channels % (2 * found) ** 2 == 0 and channels >= 2 * (2 * found) ** 2:
    found *= 2
  return found


def arrange(
  features: Float[Array, "B H W C"], r: int
) -> Float[Array, "B P Q D"]:
  """torch.nn.PixelShuffle(r): [B, H, W, C] -> [B, rH, rW, C / r^2].

  Channel c r^2 + i r + j goes to map c, row i and column j of a pixel's cell.
  """
  batch, height, width, channels = features.shape
  maps = channels // r**2
  x = features.reshape(batch, height, width, maps, r, r)
  x = x.transpose(0, 1, 4, 2, 5, 3)  # [B, H, i, W, j, c]
  return x.reshape(batch, height * r, width * r, maps)


def slide(
  maps: Float[Array, "B H W C"], kernel: Float[Array, "32 32"]
) -> Float[Array, "B P Q C"]:
  """Convolves each map with the one kernel, at stride 8 and without padding.

  As the kernel has 4x4 cells of the stride's size, that is a product with each
  of the cells, and a sum of shifted results.
  """
  cells = WINDOW // STRIDE
  batch, height, width, channels = maps.shape
  rows, columns = height // STRIDE, width // STRIDE
  x = maps[:, : rows * STRIDE, : columns * STRIDE]
  x = x.reshape(batch, rows, STRIDE, columns, STRIDE, channels)
  x = x.transpose(0, 1, 3, 5, 2, 4).reshape(
    batch, rows, columns, channels, STRIDE**2
  )
  weights = kernel.reshape(cells, STRIDE, cells, STRIDE).transpose(1, 3, 0, 2)
  products = x @ weights.reshape(STRIDE**2, cells**2)
  high, wide = rows - cells + 1, columns - cells + 1
  shifted = (
    products[:, i : i + high, j : j + wide, :, i * cells + j]
    for i in range(cells)
    for j in range(cells)
  )
  return functools.reduce(operator.add, shifted)


class Window(nn.Module):
  """`slide` with a learned kernel, drawn as PyTorch's for one channel."""

  @nn.compact
  def __call__(self, maps: Float[Array, "B H W C"]) -> Float[Array, "B P Q C"]:
    def init(key, shape):
      return DEFAULT_INIT(key, (math.prod(shape), 1)).reshape(shape)

    return slide(maps, parameter(self, "kernel", init, (WINDOW, WINDOW)))


class ARM(nn.Module):
  """A trunk, the module and one dense layer.

  11,178,395 parameters on ResNet-18 at 224 px for 7 classes. They are the same
  in each mode of `sharing`, and training tracks the mean in all of them, so
  weights trained in one can be scored in another.
  """

  num_classes: int
  trunk: nn.Module
  # "batch", "constant", "off", or "own": what "batch" gives an image alone.
  sharing: str
  # In training, batch norm of the trunk uses and tracks the statistics of the
  # batch; False keeps those that it has.
  update_trunk_stats: bool = False
  axis_name: str | None = None  # Devices whose images form the global batch.

  @nn.compact
  def __call__(
    self,
    images: Float[Array, "B S S C"],
    mask: Bool[Array, "B"] | None = None,
    *,
    train: bool = False,
  ) -> Outputs:
    """Returns {"logits": f32[B, K]} for images in [-1, 1] (1 or 3 channels).

    Rows where `mask` is False are padding and take no part in any mean.
    """
    if mask is None:
      mask = jnp.ones(images.shape[0], bool)
    features = self.trunk(
      images, mask, update_stats=train and self.update_trunk_stats
    ).astype(jnp.float32)
    r = factor(features.shape[-1])
    _check_size(features.shape[1:], r)
    x = Window(name="window")(arrange(features, r))
    x = batch_norm("window_bn", train, self.axis_name)(x, mask)
    x = x.mean(axis=-1)  # [B, P, Q]
    x = x + self._shared(x, mask, train)
    dense = nn.Dense(
      self.num_classes, kernel_init=DEFAULT_INIT, name=CLASSIFIER
    )
    return {"logits": dense(x.reshape(x.shape[0], -1))}

  def _shared(
    self, x: Float[Array, "B P Q"], mask: Bool[Array, "B"], train: bool
  ) -> Float[Array, "..."]:
    """Returns what each image's map is given, and tracks the batch's mean."""
    alpha = parameter(self, "sharing_weight", nn.initializers.ones, ())
    tracked = self.variable(
      "batch_stats", "sharing_mean", jnp.zeros, x.shape[1:]
    )
    if self.sharing == "own":
      return alpha * x
    if train or self.sharing == "batch":
      rows, valid = (
        parallel.gather_batch(a, self.axis_name) for a in (x, mask)
      )
      weights = valid / valid.sum()
      mean = jnp.einsum("b,bpq->pq", weights.astype(x.dtype), rows)
      if train:
        tracked.value = MOMENTUM * tracked.value + (1 - MOMENTUM) * mean
    else:
      mean = tracked.value
    return jnp.zeros(()) if self.sharing == "off" else alpha * mean


def _check_size(shape: tuple[int, int, int], r: int) -> None:
  """Raises UserError if the window is larger than the arranged maps."""
  height, width, channels = shape
  if min(height, width) * r < WINDOW:
    smallest = -(-WINDOW // r)
    raise UserError(
      f"ARM got a {height}x{width} feature map of {channels} channels, which "
      f"it arranges to {height * r}x{width * r}, but its {WINDOW}x{WINDOW} "
      f"window needs a map of at least {smallest}x{smallest}: enlarge "
      "config.model.image_size, or cut the trunk elsewhere (config.model.cut)."
    )


def build(shared: Shared) -> Method:
  """Returns ARM."""
  network = ARM(
    shared.num_classes,
    shared.trunk.module,
    shared.settings.sharing,
    shared.trunk.update_stats,
    axis_name=parallel.AXIS,
  )
  mixes = shared.settings.sharing == "batch"
  return shared.method(
    network, alone=network.clone(sharing="own") if mixes else network
  )
