"""Distract Your Attention Network (Wen, Lin, Wang, Xu; arXiv 2109.07270).

Features are drawn to a learned centre of their class (affinity loss), four
heads of spatial and channel attention look at them, a softmax over the heads
and the partition loss keep the heads apart, and their sum is classified
(`networks/dan.py`, `rafdb.py`).
"""

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from pattlite_jax.method import CLASSIFIER, Batch, Method, Outputs, Terms
from pattlite_jax.methods.shared import Shared
from pattlite_jax.models.convolution import Conv
from pattlite_jax.models.parameter import parameter
from pattlite_jax.models.torch_layers import (
  DEFAULT_INIT,
  HE_NORMAL,
  batch_norm,
)
from pattlite_jax.runtime import parallel
from pattlite_jax.runtime.errors import UserError

HEADS = 4
REDUCTION = 16  # Of the channels, within a head's channel unit.


class Head(nn.Module):
  """Attention over places, then over channels: a map to one vector."""

  features: int  # Within the spatial unit.
  axis_name: str | None = None
  dtype: DTypeLike = jnp.float32  # Of the convolutions.

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "B H W C"],
    mask: Bool[Array, "B"] | None,
    *,
    train: bool,
  ) -> Float[Array, "B C"]:
    channels = x.shape[-1]

    def conv(y, features, size, name):
      y = Conv(
        features, size, kernel_init=HE_NORMAL, dtype=self.dtype, name=name
      )(y)
      return batch_norm(f"{name}_bn", train, self.axis_name)(y, mask)

    y = conv(x, self.features, (1, 1), "conv1x1")
    sizes = ((3, 3), (1, 3), (3, 1))
    y = nn.relu(
      sum(conv(y, channels, (h, w), f"conv{h}x{w}") for h, w in sizes)
    )
    places = y.astype(jnp.float32).sum(axis=-1, keepdims=True)
    v = (x.astype(jnp.float32) * places).mean(axis=(1, 2))
    narrow = nn.initializers.normal(0.001)
    y = nn.Dense(channels // REDUCTION, kernel_init=narrow, name="squeeze")(v)
    y = nn.relu(batch_norm("squeeze_bn", train, self.axis_name)(y, mask))
    y = nn.Dense(channels, kernel_init=narrow, name="excite")(y)
    return v * nn.sigmoid(y)


class DAN(nn.Module):
  """A trunk, four heads, their fusion and one dense layer with batch norm.

  19,723,733 parameters on ResNet-18 for 7 classes, and the centres besides.
  """

  num_classes: int
  trunk: nn.Module
  head_features: int
  num_centers: int
  # In training, batch norm of the trunk uses and tracks the statistics of the
  # batch; False keeps those that it has.
  update_trunk_stats: bool = False
  axis_name: str | None = None  # Devices that share batch-norm statistics.
  dtype: DTypeLike = jnp.float32  # Of the heads' convolutions.

  @nn.compact
  def __call__(
    self,
    images: Float[Array, "B S S C"],
    mask: Bool[Array, "B"] | None = None,
    *,
    train: bool = False,
  ) -> Outputs:
    """Returns {"logits": f32[B, K]} for images in [-1, 1] (1 or 3 channels).

    In training also "features" f32[B, C], the mean of the map, "centers"
    f32[M, C], and "heads" f32[B, 4, C], log-softmaxed over the heads.
    """
    x = self.trunk(images, mask, update_stats=train and self.update_trunk_stats)
    centers = parameter(
      self,
      "centers",
      nn.initializers.normal(1.0),
      (self.num_centers, x.shape[-1]),
    )
    heads = [
      Head(
        self.head_features, self.axis_name, dtype=self.dtype, name=f"head{i}"
      )(x, mask, train=train)
      for i in range(HEADS)
    ]
    fused = nn.log_softmax(jnp.stack(heads, axis=1), axis=1)
    dense = nn.Dense(
      self.num_classes, kernel_init=DEFAULT_INIT, name=CLASSIFIER
    )
    logits = dense(fused.sum(axis=1))
    logits = batch_norm("logits_bn", train, self.axis_name)(logits, mask)
    outputs = {"logits": logits}
    if train:
      features = x.astype(jnp.float32).mean(axis=(1, 2))
      outputs |= {"features": features, "centers": centers, "heads": fused}
    return outputs


def affinity(
  features: Float[Array, "B C"],
  centers: Float[Array, "M C"],
  labels: Int[Array, "B"],
) -> Float[Array, "B"]:
  """Returns each image's squared distance to its centre over their spread.

  The spread is the variance of the centres, unbiased, summed over channels.
  """
  distances = jnp.square(features - centers[labels]).sum(axis=-1)
  spread = centers.var(axis=0, ddof=1).sum()
  return distances.clip(1e-12, 1e12) / spread


def partition(variance: Float[Array, ""]) -> Float[Array, ""]:
  """Returns the loss for the mean variance over heads; large if they agree."""
  return jnp.log1p(HEADS / (variance + np.finfo(float).eps))


def build(shared: Shared) -> Method:
  """Returns DAN.

  The loss is the cross-entropy and the two terms, all with weight 1.
  """
  num_centers = shared.settings.centers or shared.num_classes
  if num_centers < max(shared.num_classes, 2):
    raise UserError(
      f"config.model.centers is {num_centers}, but there are "
      f"{shared.num_classes} classes; set it to 0 for one a class, or to more."
    )
  network = DAN(
    shared.num_classes,
    shared.trunk.module,
    shared.settings.head_features,
    num_centers,
    shared.trunk.update_stats,
    axis_name=parallel.AXIS,
    dtype=jnp.dtype(shared.settings.dtype),
  )

  def loss(
    outputs: Outputs, batch: Batch, progress: Float[Array, ""]
  ) -> tuple[Float[Array, "B"], Terms]:
    del progress
    mask = batch["mask"]
    near = affinity(outputs["features"], outputs["centers"], batch["label"])
    apart = outputs["heads"].var(axis=1, ddof=1).mean(axis=-1)
    terms = {
      "affinity": parallel.batch_mean(near, mask),
      "partition": partition(parallel.batch_mean(apart, mask)),
    }
    return shared.cross_entropy(outputs["logits"], batch), terms

  return shared.method(network, loss=loss)
