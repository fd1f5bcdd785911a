"""What a config must hold before a run: known words, ranges, no idle fields."""

import operator

import ml_collections

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.models.attention_classifier import ATTENTIONS
from pattlite_jax.models.mobilenet_v1 import LAYER_NAMES
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.training import optimizer, resume
from pattlite_jax.training.progress import STAGES

# The least and the largest value that have a meaning.
_RANGES = {
  "augment.random_contrast": (0, 1),
  "augment.random_rotation": (0, 180),
  "augment.random_zoom": (0, 0.9),
  "augment.random_shift": (0, 1),
  "augment.random_erasing": (0, 1),
  "augment.erasing_min_area": (0, 1),
  "augment.erasing_max_area": (0, 1),
  "distillation.share": (0, 1),
  **{
    f"{stage}.{field}": limits
    for stage in STAGES
    for field, limits in {
      "ema_decay": (0, 0.999999),
      "label_smoothing": (0, 1),
      "spatial_dropout": (0, 1),
      "pooled_dropout": (0, 1),
      "attended_dropout": (0, 1),
    }.items()
  },
}


def check(config: ml_collections.ConfigDict) -> None:
  """Raises UserError for fields that no run can have.

  Otherwise a misspelt stage2.trunk would show after the whole first stage.
  """
  known = {
    "model.attention": ATTENTIONS,
    "model.cut": LAYER_NAMES,
    "eval.order": examples_lib.ORDERS,
    "stage1.trunk_statistics": ("imagenet", "batch"),
    "stage2.trunk_statistics": ("imagenet", "batch"),
    "stage1.trunk": optimizer.TRUNKS,
    "stage2.trunk": optimizer.TRUNKS,
    "stage1.monitor": ("val_accuracy", "train_accuracy"),
    "stage2.monitor": ("val_accuracy", "train_accuracy"),
    "stage1.optimizer": optimizer.NAMES,
    "stage2.optimizer": optimizer.NAMES,
    "stage1.schedule": ("by_epoch", "cosine"),
    "stage2.schedule": ("by_epoch", "cosine"),
    "resume": resume.WORDS,
  }
  for field, words in known.items():
    value = operator.attrgetter(field)(config)
    if value not in words:
      raise UserError(
        f"config.{field} is {value!r}, but must be one of {', '.join(words)}."
      )
  for field, (low, high) in _RANGES.items():
    value = operator.attrgetter(field)(config)
    if not low <= value <= high:
      raise UserError(
        f"config.{field} is {value}, but must lie in {low} to {high}."
      )
  if config.augment.erasing_min_area > config.augment.erasing_max_area:
    raise UserError(
      "config.augment.erasing_min_area is "
      f"{config.augment.erasing_min_area}, but must not exceed "
      f"erasing_max_area, {config.augment.erasing_max_area}."
    )
  if config.start_from and config.model.trunk_weights != "imagenet":
    raise UserError(
      f"config.model.trunk_weights is {config.model.trunk_weights!r}, but has "
      f"no effect on a run that starts from {config.start_from!r}; set it to "
      'imagenet, or config.start_from to "".'
    )
  for stage in STAGES:
    _check_stage(stage, config[stage])


def _check_stage(stage: str, fields: ml_collections.ConfigDict) -> None:
  """Raises UserError for fields of a stage that exclude each other."""
  needs = {
    "weight_decay": ("optimizer", "adamw"),
    "warmup_epochs": ("schedule", "cosine"),
    "decay_epochs": ("schedule", "by_epoch"),
    "plateau_patience": ("schedule", "by_epoch"),
  }
  warmup, epochs = fields.warmup_epochs, fields.epochs
  if epochs and warmup >= epochs:
    raise UserError(
      f"config.{stage}.warmup_epochs is {warmup}, but must be less than "
      f"config.{stage}.epochs, {epochs}: the rate would never fall."
    )
  for field, (other, word) in needs.items():
    if fields[field] and fields[other] != word:
      raise UserError(
        f"config.{stage}.{field} is {fields[field]}, but takes effect only "
        f"with config.{stage}.{other}={word}, which is {fields[other]!r}; set "
        f"the one to 0 or the other to {word}."
      )
