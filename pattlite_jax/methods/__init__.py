"""The methods of the bench: one paper a file, all built by one signature."""

import ml_collections
import numpy as np
from jaxtyping import Int

from pattlite_jax.method import Method
from pattlite_jax.methods import eac, pattlite

METHODS = {"pattlite": pattlite.build, "eac": eac.build}


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
  return METHODS[config.method](
    config.model,
    num_classes,
    augment=config.augment.to_dict(),
    stage=config[stage] if stage else None,
    class_counts=class_counts,
  )
