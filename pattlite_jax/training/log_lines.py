"""The words in which a run speaks of itself."""

import dataclasses
import math
from typing import Any

import jax
import ml_collections

from pattlite_jax.config import STAGES
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.method import Method
from pattlite_jax.runtime import provenance
from pattlite_jax.training.progress import Progress

_SPLITS = {"train": "training"}  # What a split is called; others by their name.
_MONITORS = {
  "val_accuracy": "validation accuracy",
  "train_accuracy": "training accuracy",
}
# Above the figures of `epoch_row`.
HEADINGS = (
  "                 training         validation    learning\n"
  "     epoch    loss accuracy      loss accuracy      rate  images/s"
)


@dataclasses.dataclass(frozen=True)
class Place:
  """Where a run is. Epochs and steps count on from one stage to the next."""

  epoch: int  # The one under way, from 1.
  epochs: int  # At most, as a stage may stop early.
  steps_an_epoch: int
  may_stop: bool  # Whether a stage may still do so.

  @property
  def steps(self) -> int:
    """The number of steps of the run, at most."""
    return self.epochs * self.steps_an_epoch


def place(
  config: ml_collections.ConfigDict, progress: Progress, num_images: int
) -> Place:
  """Returns the place of an epoch that starts or goes on."""
  left = [config[stage] for stage in STAGES[progress.stage :]]
  return Place(
    epoch=progress.epochs + 1,
    epochs=progress.epochs_before + sum(stage.epochs for stage in left),
    steps_an_epoch=examples_lib.steps_per_epoch(num_images, config.batch_size),
    may_stop=any(stage.epochs and stage.patience for stage in left),
  )


def table(rows: list[tuple[str, str]]) -> str:
  """Returns a line for each (name, text), texts one below the other."""
  return "\n".join(f"{name:<12}{text}" for name, text in rows)


def recipe(path: str, changed: dict[str, Any]) -> str:
  """Returns which recipe a run follows, and what a flag changes in it."""
  fields = [f"{name}={value}" for name, value in changed.items()]
  rows = [("recipe", path)]
  rows += [("with" if not i else "", f) for i, f in enumerate(fields)]
  return table(rows)


def header(
  config: ml_collections.ConfigDict,
  splits: dict[str, examples_lib.Examples],
  method: Method,
) -> str:
  """Returns what a run trains on, with what, and where it leaves things."""
  train = splits["train"]
  steps = examples_lib.steps_per_epoch(
    examples_lib.epoch_size(train), config.batch_size
  )
  images = ", ".join(
    f"{len(split):,} {_SPLITS.get(name, name)}"
    for name, split in splits.items()
  )
  size = f"{config.method} at {config.model.image_size} pixels"
  # With the statistics of batch norm, as Keras and papers count.
  leaves = jax.tree.leaves(method.shapes)
  parameters = f"{sum(math.prod(x.shape) for x in leaves):,} parameters"
  rows = [
    ("data", f"{config.data.name}, {len(train.class_names)} classes"),
    ("images", images),
    ("network", f"{size}, {parameters}"),
    ("devices", provenance.devices()),
    ("batches", f"{config.batch_size} images a step, {steps:,} steps an epoch"),
  ]
  if config.data.label_noise:
    wrong = f"{_percent(config.data.label_noise)} made wrong, for training"
    rows.insert(2, ("labels", wrong))
  if config.data.label_file:
    rows.insert(2, ("labels", f"for training, of {config.data.label_file}"))
  if config.data.sampling != "shuffle":
    size = examples_lib.epoch_size(train)
    words = f"{config.data.sampling}, {size:,} images an epoch"
    rows.insert(-2, ("sampling", words))
  if method.mixes_batch:
    rows.insert(3, ("", "which sees the images of a batch together"))
  rows += [(f"stage {name[-1]}", _stage(config[name])) for name in STAGES]
  return table([*rows, ("folder", config.workdir)])


def _stage(fields: ml_collections.ConfigDict) -> str:
  if not fields.epochs:
    return "left out"
  words = f"{count(fields.epochs, 'epoch')}, learning rate "
  words += f"{fields.learning_rate:.3g}"
  if not fields.patience:
    return words
  return f"up to {words}, patience {fields.patience} ({fields.monitor})"


def count(number: int, noun: str) -> str:
  """Returns a number of things: "1 epoch", "1,200 epochs"."""
  return f"{number:,} {noun}{'' if number == 1 else 's'}"


def figures(scalars: dict[str, float], speed: float | None, left: str) -> str:
  """Returns loss, accuracy, images/s and the time left, where known."""
  words = [
    f"loss {scalars['loss']:.3f}",
    f"accuracy {_percent(scalars['accuracy'])}",
  ]
  words += [f"{_speed(speed)} images/s"] if speed else []
  words += [left] if left else []
  return ", ".join(words)


def step_line(place: Place, step: int, figures: str) -> str:
  """Returns how training went in the epoch so far."""
  return (
    f"step {step:,} of {place.steps:,} (epoch {place.epoch} of "
    f"{place.epochs}): {figures}"
  )


def epoch_line(
  place: Place, record: dict[str, Any], speed: float | None, *, is_best: bool
) -> str:
  """Returns how an epoch went, readable by itself."""
  words = [
    f"training loss {record['train_loss']:.3f}, "
    f"accuracy {_percent(record['train_accuracy'])}",
    *_validation(record),
    f"learning rate {record['learning_rate']:.3g}",
  ]
  words += [f"{_speed(speed)} images/s"] if speed else []
  words += ["best so far"] if is_best else []
  return f"epoch {place.epoch} of {place.epochs}: {'; '.join(words)}"


def _validation(record: dict[str, Any]) -> list[str]:
  """Returns the validation figures, if the data set has such images."""
  if "val_loss" not in record:
    return []
  accuracy = _percent(record["val_accuracy"])
  return [f"validation loss {record['val_loss']:.3f}, accuracy {accuracy}"]


def epoch_row(
  place: Place, record: dict[str, Any], speed: float | None, *, is_best: bool
) -> str:
  """Returns the same, to be read below `HEADINGS`."""
  validated = "val_loss" in record
  cells = [
    f"{f'{place.epoch} of {place.epochs}':>10}",
    f"{record['train_loss']:>8.3f}",
    f"{_percent(record['train_accuracy']):>9}",
    f"{record['val_loss']:>10.3f}" if validated else f"{'-':>10}",
    f"{_percent(record['val_accuracy']) if validated else '-':>9}",
    f"{record['learning_rate']:>10.3g}",
    f"{_speed(speed) if speed else '':>10}",
  ]
  return "".join(cells) + ("  best so far" if is_best else "")


def early_end(stage: str, fields: ml_collections.ConfigDict) -> str:
  """Returns why a stage ends before its last epoch."""
  return (
    f"No gain in {_MONITORS[fields.monitor]} for "
    f"{count(fields.patience, 'epoch')}: stage {stage[-1]} ends."
  )


def time_left(seconds: float | None, place: Place) -> str:
  """Returns "6 min left", or "up to 6 min left" if a stage may stop early."""
  if seconds is None:
    return ""
  return f"{'up to ' if place.may_stop else ''}{duration(seconds)} left"


def duration(seconds: float) -> str:
  """Returns a time in the unit that a reader would choose."""
  if seconds < 100:
    return f"{seconds:.0f} s"
  minutes = round(seconds / 60)
  if minutes < 100:
    return f"{minutes} min"
  if minutes < 48 * 60:
    return f"{minutes / 60:.1f} h"
  return f"{minutes / 60 / 24:.1f} days"


def _percent(share: float) -> str:
  return f"{100 * share:.1f} %"


def _speed(speed: float) -> str:
  return f"{speed:,.0f}" if speed >= 10 else f"{speed:.1f}"
