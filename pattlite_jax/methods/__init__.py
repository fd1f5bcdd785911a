"""The methods of the bench: one paper a file, all built by one signature."""

import functools
from collections.abc import Callable

import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import Array, Float, Int

from pattlite_jax.data import augment as augment_lib
from pattlite_jax.method import Batch, Method
from pattlite_jax.methods import (
  apvit,
  arm,
  baseline,
  cbam_rul,
  dan,
  eac,
  label_correction,
  ldam_focal,
  pattlite,
)
from pattlite_jax.methods.shared import Shared
from pattlite_jax.models import losses, trunks

METHODS = {
  "baseline": baseline.build,
  "pattlite": pattlite.build,
  "arm": arm.build,
  "dan": dan.build,
  "eac": eac.build,
  "apvit": apvit.build,
  "cbam_rul": cbam_rul.build,
  "ldam_focal": ldam_focal.build,
  "label_correction": label_correction.build,
}


def build(
  config: ml_collections.ConfigDict,
  num_classes: int,
  *,
  stage: str | None = None,
  class_counts: Int[np.ndarray, "K"] | None = None,
) -> Method:
  """Returns `config.method`, for a stage's training or, without, for scoring.

  `class_counts` are those of the training images, for losses that weight
  classes.
  """
  fields = config[stage] if stage else None
  shared = Shared(
    settings=config.model,
    num_classes=num_classes,
    stage=fields,
    class_counts=class_counts,
    trunk=trunks.build(config.model, fields),
    augment=functools.partial(
      augment_lib.augment,
      image_size=config.model.image_size,
      **config.augment.to_dict(),
    ),
    cross_entropy=_cross_entropy(
      fields, config.distillation, num_classes, class_counts
    ),
  )
  return METHODS[config.method](shared)


def _cross_entropy(
  stage: ml_collections.ConfigDict | None,
  distillation: ml_collections.ConfigDict,
  num_classes: int,
  class_counts: Int[np.ndarray, "K"] | None,
) -> Callable[[Float[Array, "B K"], Batch], Float[Array, "B"]]:
  """Returns (logits, batch) -> the cross-entropy of each image.

  In it teachers have their share, where the batch has what they saw.
  """
  class_weights, smoothing = np.ones(num_classes, np.float32), 0.0
  if stage is not None:
    smoothing = stage.label_smoothing
    if stage.class_weights:
      assert class_counts is not None
      class_weights = losses.balanced_class_weights(class_counts)

  def cross_entropy(logits, batch):
    own = losses.cross_entropy(
      logits,
      batch["label"],
      batch.get("targets"),
      class_weights=jnp.asarray(class_weights),
      label_smoothing=smoothing,
    )
    if "taught" not in batch:
      return own
    return losses.distilled(
      own,
      logits,
      batch["taught"],
      share=distillation.share,
      temperature=distillation.temperature,
    )

  return cross_entropy
