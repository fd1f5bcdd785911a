"""PAtt-Lite (Ngwe et al., arXiv 2306.09626): trunk, patches, classifier."""

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from pattlite_jax.models.attention_classifier import AttentionClassifier
from pattlite_jax.models.dropout import Dropout
from pattlite_jax.models.mobilenet_v1 import MobileNetV1
from pattlite_jax.models.mobilenet_v1_layers import PATT_LITE_CUT
from pattlite_jax.models.patch_extraction import PatchExtraction

TRUNK = "trunk"  # The part of the parameters that ImageNet weights fill.


class PAttLite(nn.Module):
  """1,102,664 parameters for 7 classes, 1,102,697 for 8.

  Dropout rates differ between the two stages of training; the parameters do
  not. Inference needs no `axis_name` unless `attention` is "batch".
  """

  num_classes: int
  attention: str  # "batch", "token" or "none"; see AttentionClassifier.
  cut: str = PATT_LITE_CUT
  patch_extraction: bool = True  # False classifies the trunk's features.
  patch_stride: int = 4
  # In training, batch norm of the trunk uses and tracks the batch's statistics;
  # False keeps those that it has, as the notebook does in both stages.
  update_trunk_stats: bool = False
  spatial_dropout: float = 0.0
  pooled_dropout: float = 0.0
  attended_dropout: float = 0.0
  axis_name: str | None = None
  dtype: DTypeLike = jnp.float32
  folded: bool = False  # For variables out of `fold_batch_norm`.

  @nn.compact
  def __call__(
    self,
    images: Float[Array, "B H W C"],
    mask: Bool[Array, "B"] | None = None,
    *,
    train: bool = False,
  ) -> Float[Array, "B {self.num_classes}"]:
    """Returns logits for images in [-1, 1], of 3 channels or 1 for grey.

    Rows where `mask` is False are padding: they take no part in batch
    statistics or in `batch` attention, and their logits mean nothing.
    """
    if mask is None:
      mask = jnp.ones(images.shape[0], bool)
    features = MobileNetV1(
      self.cut,
      axis_name=self.axis_name,
      dtype=self.dtype,
      folded=self.folded,
      name=TRUNK,
    )(images, mask, update_stats=train and self.update_trunk_stats)
    if self.patch_extraction:
      patches = PatchExtraction(
        stride=self.patch_stride, dtype=self.dtype, name="patch_extraction"
      )(features)
    else:
      patches = features
    patches = Dropout(
      self.spatial_dropout, whole_channels=True, axis_name=self.axis_name
    )(patches, train=train)
    return AttentionClassifier(
      self.num_classes,
      self.attention,
      pooled_dropout=self.pooled_dropout,
      attended_dropout=self.attended_dropout,
      axis_name=self.axis_name,
      name="attention_classifier",
    )(patches, mask, train=train)
