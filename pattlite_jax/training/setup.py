"""From the config to the functions that a run calls; steps are mapped here."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from jaxtyping import PyTree

from pattlite_jax.data import augment as augment_lib
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.models.pattlite import PAttLite
from pattlite_jax.runtime import parallel
from pattlite_jax.scoring import logits as logits_lib
from pattlite_jax.scoring import metrics
from pattlite_jax.training import optimizer, recipe
from pattlite_jax.training import step as step_lib
from pattlite_jax.weights import trunk

Variables = dict[str, Any]


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
    parallel.pmap_train_step(
      functools.partial(step_lib.train_steps, step=step)
    ),
  )


def train_step(
  config: ml_collections.ConfigDict,
  stage: str,
  train: examples_lib.Examples,
) -> functools.partial:
  """Returns the train step with all that a stage binds, not yet mapped."""
  fields = config[stage]
  num_classes = len(train.class_names)
  weights = recipe.balanced_class_weights(examples_lib.class_counts(train))
  if not fields.class_weights:
    weights = np.ones_like(weights)
  shapes = variable_shapes(config, num_classes)
  return functools.partial(
    step_lib.train_step,
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
    step_lib.predict_step,
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
    logits = logits_lib.predict(
      predict_step, variables, validation, batch_size=batch_size
    )
    scores = metrics.score(logits, validation.labels)
    return {name: scores[name] for name in ("loss", "accuracy")}

  return validate
