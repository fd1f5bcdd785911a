"""Fields of older versions, and what their runs had in effect."""

import dataclasses
from typing import Any

from pattlite_jax.config.rules import STAGES

# What runs had whose checkpoints lack a field, where the default is another.
BEFORE = {
  "batch_size": 8,
  "global_clipnorm": 3.0,
  "augment.random_flip": True,
  "augment.random_contrast": 0.3,
  "distillation.share": 0.7,
  "eval.order": "class_sorted",
  **{
    f"{stage}.{name}": value
    for stage in STAGES
    for name, value in {
      "trunk": "frozen",
      "trunk_statistics": "imagenet",
      "min_delta": 0.003,
      "min_learning_rate": 1e-6,
    }.items()
  },
  "stage1.epochs": 100,
  "stage1.class_weights": True,
  "stage1.pooled_dropout": 0.1,
  "stage1.plateau_patience": 3,
  "stage1.patience": 5,
  "stage2.epochs": 500,
  "stage2.learning_rate": 1e-5,
  "stage2.decay_epochs": 80.0,
  "stage2.spatial_dropout": 0.2,
  "stage2.pooled_dropout": 0.2,
  "stage2.attended_dropout": 0.2,
  "stage2.monitor": "train_accuracy",
  "stage2.patience": 20,
}


@dataclasses.dataclass(frozen=True)
class Former:
  """A field of older versions: renamed to `now`, or gone."""

  now: str = ""
  off: Any = None  # The value with which a field that has gone did nothing.


FORMER = {
  "augment.random_brightness": Former(off=0.0),
  "mixing.mixup_alpha": Former(off=0.0),
  "mixing.cutmix_alpha": Former(off=0.0),
  "stage1.trunk_learning_rate_factor": Former(off=1.0),
  "stage2.trunk_learning_rate_factor": Former(off=1.0),
}
