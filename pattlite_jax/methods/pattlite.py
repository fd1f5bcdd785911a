"""PAtt-Lite (Ngwe et al., arXiv 2306.09626): trunk, patches, classifier."""

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from pattlite_jax.method import Method, Outputs
from pattlite_jax.methods.shared import Shared
from pattlite_jax.models.attention_classifier import AttentionClassifier
from pattlite_jax.models.dropout import Dropout
from pattlite_jax.models.patch_extraction import PatchExtraction
from pattlite_jax.runtime import parallel


def build(shared: Shared) -> Method:
  """Returns PAtt-Lite; its dropout is the stage's.

  Attention "batch" gives an image alone what "none" gives it in any batch, as
  softmax over one image is 1.
  """
  network = PAttLite(
    shared.num_classes,
    shared.settings.attention,
    shared.trunk.module,
    patch_extraction=shared.settings.patch_extraction,
    patch_stride=shared.settings.patch_stride,
    axis_name=parallel.AXIS,
    dtype=jnp.dtype(shared.settings.dtype),
  )
  if shared.stage is not None:
    network = network.clone(
      update_trunk_stats=shared.trunk.update_stats,
      spatial_dropout=shared.stage.spatial_dropout,
      pooled_dropout=shared.stage.pooled_dropout,
      attended_dropout=shared.stage.attended_dropout,
    )
  mixes = shared.settings.attention == "batch"
  return shared.method(
    network, alone=network.clone(attention="none") if mixes else network
  )


class PAttLite(nn.Module):
  """On MobileNetV1 1,102,664 parameters for 7 classes, 1,102,697 for 8.

  Dropout rates differ between the two stages of training; the parameters do
  not. Inference needs no `axis_name` unless `attention` is "batch".
  """

  num_classes: int
  attention: str  # "batch", "token" or "none"; see AttentionClassifier.
  trunk: nn.Module
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

  @nn.compact
  def __call__(
    self,
    images: Float[Array, "B H W C"],
    mask: Bool[Array, "B"] | None = None,
    *,
    train: bool = False,
  ) -> Outputs:
    """Returns {"logits": f32[B, K]} for images in [-1, 1] (1 or 3 channels).

    Rows where `mask` is False are padding: they take no part in batch
    statistics or in `batch` attention, and their logits mean nothing.
    """
    if mask is None:
      mask = jnp.ones(images.shape[0], bool)
    features = self.trunk(
      images, mask, update_stats=train and self.update_trunk_stats
    )
    if self.patch_extraction:
      patches = PatchExtraction(
        stride=self.patch_stride, dtype=self.dtype, name="patch_extraction"
      )(features)
    else:
      patches = features
    patches = Dropout(
      self.spatial_dropout, whole_channels=True, axis_name=self.axis_name
    )(patches, train=train)
    logits = AttentionClassifier(
      self.num_classes,
      self.attention,
      pooled_dropout=self.pooled_dropout,
      attended_dropout=self.attended_dropout,
      axis_name=self.axis_name,
      name="attention_classifier",
    )(patches, mask, train=train)
    return {"logits": logits}
