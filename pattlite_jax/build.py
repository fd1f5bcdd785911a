"""From the config to the functions that a run calls; steps are mapped here."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from jaxtyping import PyTree

from pattlite_jax import metrics, optimizer, parallel, recipe, resume, steps
from pattlite_jax import predict as predict_lib
from pattlite_jax.data import augment as augment_lib
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import mixing
from pattlite_jax.models.attention_classifier import ATTENTIONS
from pattlite_jax.models.mobilenet_v1 import LAYER_NAMES
from pattlite_jax.models.pattlite import PAttLite
from pattlite_jax.progress import STAGES
from pattlite_jax.weights import trunk

Variables = dict[str, Any]


# The least and the largest value that have a meaning.
_RANGES = {
  "augment.random_contrast": (0, 1),
  "augment.random_rotation": (0, 180),
  "augment.random_zoom": (0, 0.9),
  "augment.random_shift": (0, 1),
  "augment.random_brightness": (0, 1),
  "augment.random_erasing": (0, 1),
  "augment.erasing_min_area": (0, 1),
  "augment.erasing_max_area": (0, 1),
  "distillation.share": (0, 1),
  "mixing.mixup_alpha": (0, 100),
  "mixing.cutmix_alpha": (0, 100),
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


def check_config(config: ml_collections.ConfigDict) -> None:
  """Raises ValueError for fields that no run can have.

  Otherwise a misspelt stage2.trunk would show after the whole first stage.
  """
  known = {
    "model.attention": ATTENTIONS,
    "model.cut": LAYER_NAMES,
    "eval.order": examples_lib.ORDERS,
    "stage1.trunk_statistics": recipe.STATISTICS,
    "stage2.trunk_statistics": recipe.STATISTICS,
    "stage1.trunk": recipe.TRUNKS,
    "stage2.trunk": recipe.TRUNKS,
    "stage1.monitor": recipe.MONITORS,
    "stage2.monitor": recipe.MONITORS,
    "stage1.optimizer": optimizer.NAMES,
    "stage2.optimizer": optimizer.NAMES,
    "stage1.schedule": recipe.SCHEDULES,
    "stage2.schedule": recipe.SCHEDULES,
    "resume": resume.WORDS,
  }
  for field, words in known.items():
    value = operator.attrgetter(field)(config)
    if value not in words:
      raise ValueError(
        f"config.{field} is {value!r}, but must be one of {', '.join(words)}."
      )
  for field, (low, high) in _RANGES.items():
    value = operator.attrgetter(field)(config)
    if not low <= value <= high:
      raise ValueError(
        f"config.{field} is {value}, but must lie in {low} to {high}."
      )
  if config.augment.erasing_min_area > config.augment.erasing_max_area:
    raise ValueError(
      "config.augment.erasing_min_area is "
      f"{config.augment.erasing_min_area}, but must not exceed "
      f"erasing_max_area, {config.augment.erasing_max_area}."
    )
  if config.start_from and config.model.trunk_weights != "imagenet":
    raise ValueError(
      f"config.model.trunk_weights is {config.model.trunk_weights!r}, but has "
      f"no effect on a run that starts from {config.start_from!r}; set it to "
      'imagenet, or config.start_from to "".'
    )
  for stage in STAGES:
    _check_stage(stage, config[stage])


def _check_stage(stage: str, fields: ml_collections.ConfigDict) -> None:
  """Raises ValueError for fields of a stage that exclude each other."""
  needs = {
    "weight_decay": ("optimizer", "adamw"),
    "warmup_epochs": ("schedule", "cosine"),
    "decay_epochs": ("schedule", "by_epoch"),
    "plateau_patience": ("schedule", "by_epoch"),
  }
  warmup, epochs = fields.warmup_epochs, fields.epochs
  if epochs and warmup >= epochs:
    raise ValueError(
      f"config.{stage}.warmup_epochs is {warmup}, but must be less than "
      f"config.{stage}.epochs, {epochs}: the rate would never fall."
    )
  for field, (other, word) in needs.items():
    if fields[field] and fields[other] != word:
      raise ValueError(
        f"config.{stage}.{field} is {fields[field]}, but takes effect only "
        f"with config.{stage}.{other}={word}, which is {fields[other]!r}; set "
        f"the one to 0 or the other to {word}."
      )


def make_model(
  config: ml_collections.ConfigDict,
  num_classes: int,
  *,
  attention: str | None = None,
  **fields: Any,
) -> PAttLite:
  """Returns the network that runs under the mapped steps.

  `attention` scores the weights in another mode; `fields` are other fields of
  the network, such as dropout rates.
  """
  return PAttLite(
    num_classes,
    attention or config.model.attention,
    cut=config.model.cut,
    patch_extraction=config.model.patch_extraction,
    patch_stride=config.model.patch_stride,
    axis_name=parallel.AXIS,
    dtype=jnp.dtype(config.model.dtype),
    **fields,
  )


def random_variables(
  config: ml_collections.ConfigDict, num_classes: int
) -> Variables:
  """Returns the network's variables as drawn from `config.seed`."""
  model = make_model(config, num_classes).clone(axis_name=None)
  size = config.model.image_size
  images = jnp.zeros((1, size, size, 3))
  return jax.jit(model.init)(jax.random.key(config.seed), images)


def init_variables(
  config: ml_collections.ConfigDict, num_classes: int
) -> Variables:
  """Returns the variables before training: ImageNet trunk, random head."""
  source = config.model.trunk_weights
  weights = (
    trunk.load_imagenet_trunk()
    if source == "imagenet"
    else trunk.load_imagenet_trunk(source)
  )
  return trunk.insert_trunk(random_variables(config, num_classes), weights)


def variable_shapes(
  config: ml_collections.ConfigDict, num_classes: int
) -> PyTree[jax.ShapeDtypeStruct]:
  """Returns the shapes and dtypes of the variables, at no cost."""
  return jax.eval_shape(lambda: random_variables(config, num_classes))


def build_train(
  config: ml_collections.ConfigDict,
  stage: str,
  train: examples_lib.Examples,
) -> tuple[optax.GradientTransformation, PyTree, Callable[..., Any]]:
  """Returns a stage's (optimizer, trainable mask, mapped train steps)."""
  step = train_step(config, stage, train)
  return (
    step.keywords["tx"],
    step.keywords["trainable"],
    parallel.pmap_train_step(functools.partial(steps.train_steps, step=step)),
  )


def train_step(
  config: ml_collections.ConfigDict,
  stage: str,
  train: examples_lib.Examples,
) -> functools.partial:
  """Returns `steps.train_step` with all that a stage binds, not yet mapped."""
  fields = config[stage]
  num_classes = len(train.class_names)
  weights = recipe.balanced_class_weights(examples_lib.class_counts(train))
  if not fields.class_weights:
    weights = np.ones_like(weights)
  shapes = variable_shapes(config, num_classes)
  return functools.partial(
    steps.train_step,
    model=make_model(
      config,
      num_classes,
      update_trunk_stats=fields.trunk_statistics == "batch",
      folded=fields.trunk_statistics == "imagenet",
      spatial_dropout=fields.spatial_dropout,
      pooled_dropout=fields.pooled_dropout,
      attended_dropout=fields.attended_dropout,
    ),
    tx=optimizer.make(
      fields.optimizer,
      fields.learning_rate,
      global_clipnorm=config.global_clipnorm,
      weight_decay=fields.weight_decay,
      schedule=schedule(config, stage, train),
    ),
    trainable=recipe.trainable(shapes["params"], fields.trunk),
    class_weights=jnp.asarray(weights),
    augment=functools.partial(
      augment_lib.augment,
      image_size=config.model.image_size,
      **config.augment.to_dict(),
    ),
    mix=(
      functools.partial(mixing.mix, **config.mixing.to_dict())
      if any(config.mixing.values())
      else None
    ),
    label_smoothing=fields.label_smoothing,
    ema_decay=fields.ema_decay,
  )


def schedule(
  config: ml_collections.ConfigDict,
  stage: str,
  train: examples_lib.Examples,
) -> Callable[[Any], Any] | None:
  """Returns the factor of a stage's rate as a function of its steps taken.

  None where the rate changes between epochs alone.
  """
  fields = config[stage]
  if fields.schedule == "by_epoch":
    return None
  epoch = examples_lib.steps_per_epoch(len(train), config.batch_size)
  return functools.partial(
    recipe.cosine,
    steps=fields.epochs * epoch,
    warmup_steps=round(fields.warmup_epochs * epoch),
  )


def build_predict(
  config: ml_collections.ConfigDict,
  num_classes: int,
  attention: str | None = None,
) -> Callable[..., Any]:
  """Returns the mapped step (folded variables, batch) -> logits."""
  model = make_model(config, num_classes, attention=attention, folded=True)
  step = functools.partial(
    steps.predict_step,
    model=model,
    image_size=config.model.image_size,
  )
  return parallel.map_predict_step(step)


def build_validate(
  config: ml_collections.ConfigDict, validation: examples_lib.Examples
) -> Callable[[Variables], dict[str, float]]:
  """Returns variables -> loss and accuracy on the validation split.

  With attention "batch" these are the published protocol's, as its early
  stopping sees them: Keras' fit validates in batches of the training size.
  """
  predict_step = build_predict(config, len(validation.class_names))
  batch_size = config.eval.batch_size
  if config.model.attention == "batch":
    batch_size = config.batch_size
    validation = examples_lib.reorder(
      validation, config.eval.order, config.seed
    )

  def validate(variables):
    logits = predict_lib.predict(
      predict_step, variables, validation, batch_size=batch_size
    )
    scores = metrics.score(logits, validation.labels)
    return {name: scores[name] for name in ("loss", "accuracy")}

  return validate
