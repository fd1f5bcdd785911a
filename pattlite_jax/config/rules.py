"""What values a config may hold: each field's own, and those of several."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from pattlite_jax.models.mobilenet_v1_layers import PATT_LITE_CUT
from pattlite_jax.runtime import durable
from pattlite_jax.runtime.errors import UserError

STAGES = ("stage1", "stage2")


@dataclasses.dataclass(frozen=True)
class Number:
  """A finite number in `low` to `high`; with `off`, also 0 for "off"."""

  low: int | float = 0
  high: int | float = math.inf
  whole: bool = False
  above: bool = False  # `low` itself is not allowed.
  off: bool = False

  def allows(self, value: Any) -> bool:
    """Whether `value` is such a number; True and False are not."""
    kinds = int if self.whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
      return False
    if self.off and value == 0:
      return True
    enough = value > self.low if self.above else value >= self.low
    return enough and value <= self.high and value != math.inf  # NaN: False.

  def __str__(self) -> str:
    kind = "a whole number" if self.whole else "a number"
    if self.above:
      limits = f"above {self.low:g}"
      if self.high < math.inf:
        limits += f" and at most {self.high:.9g}"
    elif self.high < math.inf:
      limits = f"from {self.low:.9g} to {self.high:.10g}"
    else:
      limits = f"of at least {self.low:.9g}"
    return f"{kind} {limits}{', or 0 for off' if self.off else ''}"


@dataclasses.dataclass(frozen=True)
class Words:
  """One of some words."""

  words: tuple[str, ...]

  def allows(self, value: Any) -> bool:
    """Whether `value` is one of them."""
    return isinstance(value, str) and value in self.words

  def __str__(self) -> str:
    return f"one of {', '.join(self.words)}"


@dataclasses.dataclass(frozen=True)
class Switch:
  """True or False."""

  def allows(self, value: Any) -> bool:
    """Whether `value` is one of the two; 0 and 1 are not."""
    return isinstance(value, bool)

  def __str__(self) -> str:
    return "True or False"


@dataclasses.dataclass(frozen=True)
class Text:
  """A text of some kind, such as a path; with `off`, also "" for none."""

  kind: str
  off: bool = True

  def allows(self, value: Any) -> bool:
    """Whether `value` is a text, but not the "None" of a command line."""
    if not isinstance(value, str) or value.strip().lower() == "none":
      return False
    return self.off or bool(value.strip())

  def __str__(self) -> str:
    return self.kind + (' (or "" for none)' if self.off else "")


@dataclasses.dataclass(frozen=True)
class Path(Text):
  """A path of this machine or in a bucket, whether anything is there or not."""

  kind: str = "a path, of this machine or gs://..."

  def allows(self, value: Any) -> bool:
    """Whether `value` could be opened if it were there."""
    return super().allows(value) and durable.can_be_opened(value)


Allowed = Number | Words | Switch | Text


def check_together(fields: Mapping[str, Any]) -> None:
  """Raises UserError for values that are allowed, but not beside each other.

  `fields` are all values of a config, by their flat names ("stage1.epochs").
  """
  least = fields["augment.erasing_min_area"]
  most = fields["augment.erasing_max_area"]
  if least > most:
    raise UserError(
      f"config.augment.erasing_min_area is {least}, but must not exceed "
      f"config.augment.erasing_max_area, {most}."
    )
  temperature = fields["distillation.temperature"]
  if temperature != 1 and fields["distillation.view"] != "student":
    raise UserError(
      f"config.distillation.temperature is {temperature}, but takes effect "
      "only with config.distillation.view=student; set the one to 1 or the "
      "other to student."
    )
  _check_labels(fields)
  _check_methods(fields)
  start_from, trunk = fields["start_from"], fields["model.trunk_weights"]
  if start_from and trunk != "imagenet":
    raise UserError(
      f"config.model.trunk_weights is {trunk!r}, but has no effect on a run "
      f"that starts from {start_from!r}; set it to imagenet, or "
      'config.start_from to "".'
    )
  _check_trunk(fields)
  if not any(fields[f"{stage}.epochs"] for stage in STAGES):
    raise UserError(
      "config.stage1.epochs and config.stage2.epochs are both 0, so nothing "
      "would train; set at least one of them to 1 or more."
    )
  watching = stages_that_watch_validation(fields)
  if fields["data.train_on_validation"] and watching:
    raise UserError(
      "config.data.train_on_validation is True, but the validation images "
      f"choose in {watching[0]}; set config.{watching[0]}.monitor to "
      f"last_epoch, config.{watching[0]}.patience and "
      f"config.{watching[0]}.plateau_patience to 0."
    )
  for stage in STAGES:
    _check_stage(stage, fields)


def stages_that_watch_validation(fields: Mapping[str, Any]) -> tuple[str, ...]:
  """Returns the stages in which a validation figure decides on anything."""
  return tuple(
    stage
    for stage in STAGES
    if fields[f"{stage}.epochs"]
    and (
      fields[f"{stage}.monitor"] == "val_accuracy"
      or fields[f"{stage}.plateau_patience"]
    )
  )


def _check_labels(fields: Mapping[str, Any]) -> None:
  """Raises UserError for sources of labels that exclude each other."""
  noise, file = fields["data.label_noise"], fields["data.label_file"]
  if noise and file:
    raise UserError(
      f"config.data.label_noise is {noise}, but the labels are those of "
      f"config.data.label_file, {file!r}; set the one to 0 or the other to "
      '"".'
    )
  if fields["data.soft_targets"] and (noise or file):
    name = "data.label_noise" if noise else "data.label_file"
    raise UserError(
      f"config.{name} is {fields[name]!r}, but has no effect with "
      "config.data.soft_targets, as training then reads no labels; turn one "
      "of them off."
    )


def _check_methods(fields: Mapping[str, Any]) -> None:
  """Raises UserError for values of one method that exclude each other."""
  file, units = fields["data.au_file"], fields["model.action_units"]
  if bool(file) != bool(units):
    raise UserError(
      f"config.data.au_file is {file!r} and config.model.action_units is "
      f"{units!r}; set both, the file and the columns to learn, or neither."
    )
  _check_head(fields)
  sampling = fields["data.sampling"]
  if fields["method"] == "ldam_focal" and sampling != "shuffle":
    raise UserError(
      "config.method=ldam_focal weighs rare classes more by itself, but "
      f"config.data.sampling={sampling} shows them more often already; set it "
      "to shuffle."
    )
  width, heads = fields["model.width"], fields["model.heads"]
  if width % heads:
    raise UserError(
      f"config.model.width is {width}, but must be a multiple of "
      f"config.model.heads, {heads}."
    )
  after = fields["model.relabel_after_epochs"]
  epochs = max(fields[f"{stage}.epochs"] for stage in STAGES)
  if fields["method"] == "label_correction" and after >= epochs:
    raise UserError(
      f"config.model.relabel_after_epochs is {after}, but must be less than "
      f"the epochs of a stage, {epochs}: no label would ever change."
    )
  start, end = fields["model.balanced_from"], fields["model.balanced_by"]
  if start > end:
    raise UserError(
      f"config.model.balanced_from is {start}, but must not exceed "
      f"config.model.balanced_by, {end}."
    )


def _check_head(fields: Mapping[str, Any]) -> None:
  """Raises UserError for a part of PAtt-Lite's head that is not there."""
  attention = fields["model.attention"]
  if fields["model.scaled_attention"] and attention == "none":
    raise UserError(
      "config.model.scaled_attention is True, but has no effect with "
      "config.model.attention=none; leave it at False."
    )
  if fields["model.patch_batch_norm"] and not fields["model.patch_extraction"]:
    raise UserError(
      "config.model.patch_batch_norm is True, but has no effect with "
      "config.model.patch_extraction=False; leave it at False."
    )


def _check_trunk(fields: Mapping[str, Any]) -> None:
  """Raises UserError for what the trunk does not have, or would not read."""
  name, cut = fields["model.trunk"], fields["model.cut"]
  stem_stride = fields["model.stem_stride"]
  if name == "mobilenet_v1":
    return
  own = {"cut": (cut, PATT_LITE_CUT), "stem_stride": (stem_stride, 2)}
  for field, (value, default) in own.items():
    if value != default:
      raise UserError(
        f"config.model.{field} is {value!r}, but has no effect with "
        f"config.model.trunk={name}; leave it at {default!r}."
      )
  if fields["model.trunk_weights"] == "imagenet" and not fields["start_from"]:
    raise UserError(
      "config.model.trunk_weights is 'imagenet', but no weights of "
      f"{name} come with the package; set it to the path of its state dict "
      "(.safetensors or .pth), or to random to train from scratch."
    )


def _check_stage(stage: str, fields: Mapping[str, Any]) -> None:
  """Raises UserError for values of a stage that exclude each other."""
  own = {
    name.removeprefix(f"{stage}."): value
    for name, value in fields.items()
    if name.startswith(f"{stage}.")
  }
  warmup, epochs = own["warmup_epochs"], own["epochs"]
  if epochs and warmup >= epochs:
    raise UserError(
      f"config.{stage}.warmup_epochs is {warmup}, but must be less than "
      f"config.{stage}.epochs, {epochs}: the learning rate would never fall."
    )
  sampling = fields["data.sampling"]
  for name in ("logit_adjustment", "class_weights"):
    if own[name] and sampling != "shuffle":
      raise UserError(
        f"config.{stage}.{name} is {own[name]}, but config.data.sampling="
        f"{sampling} shows rare classes more often already; leave the one out "
        "or set the other to shuffle."
      )
  if own["monitor"] == "last_epoch" and own["patience"]:
    raise UserError(
      f"config.{stage}.patience is {own['patience']}, but has no effect with "
      f"config.{stage}.monitor=last_epoch; set it to 0."
    )
  needs = {
    "momentum": ("optimizer", "sgd"),
    "warmup_epochs": ("schedule", "cosine"),
    "decay_epochs": ("schedule", "by_epoch"),
    "step_epochs": ("schedule", "by_epoch"),
    "plateau_patience": ("schedule", "by_epoch"),
  }
  for name, (other, word) in needs.items():
    if own[name] and own[other] != word:
      raise UserError(
        f"config.{stage}.{name} is {own[name]}, but takes effect only with "
        f"config.{stage}.{other}={word}, which is {own[other]!r}; set the one "
        f"to 0 or the other to {word}."
      )
