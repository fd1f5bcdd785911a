"""What every method is built of, and what most of them have in common."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import ml_collections
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, Int

from pattlite_jax.data import augment as augment_lib
from pattlite_jax.method import Batch, Method, Outputs, Terms
from pattlite_jax.models.trunks import Trunk


@dataclasses.dataclass(frozen=True, eq=False)
class Shared:
  """What a method is built of, for a stage of training or for scoring.

  Attributes:
    settings: config.model.
    num_classes: of the data set.
    stage: config.stage1 or config.stage2; None for scoring.
    class_counts: of the training images i32[K]; None for scoring.
    trunk: the pretrained part of the network.
    augment: a key for each image, images u8[B, h, w, C] -> f32[B, S, S, C].
    cross_entropy: logits f32[B, K], batch -> the loss of each image, with the
      stage's class weights and label smoothing, and the share of teachers.
  """

  settings: ml_collections.ConfigDict
  num_classes: int
  stage: ml_collections.ConfigDict | None
  class_counts: Int[np.ndarray, "K"] | None
  trunk: Trunk
  augment: Callable[..., Any]
  cross_entropy: Callable[[Float[Array, "B K"], Batch], Float[Array, "B"]]

  def method(self, network: nn.Module, **own: Any) -> Method:
    """Returns the method of a network; `own` are the fields of its own.

    Else each image is seen once, augmented, no result depends on other images,
    and the loss is the cross-entropy.
    """
    plain = Method(
      network=network,
      alone=network,
      init=self.trunk.init(network),
      views=self.augment,
      prepare=functools.partial(
        augment_lib.prepare, image_size=self.settings.image_size
      ),
      loss=self._loss,
      fold=self.trunk.fold,
    )
    return dataclasses.replace(plain, **own)

  def _loss(
    self, outputs: Outputs, batch: Batch, progress: Float[Array, ""]
  ) -> tuple[Float[Array, "B"], Terms]:
    del progress
    return self.cross_entropy(outputs["logits"], batch), {}
