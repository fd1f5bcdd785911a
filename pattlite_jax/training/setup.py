"""From the config to what a run calls: first variables, stages, validation."""

import dataclasses
from collections.abc import Callable

import jax
import ml_collections
import numpy as np
import optax
from jaxtyping import Array, Int, Key, PyTree

from pattlite_jax import methods
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.method import TRUNK, Batch, Method, Variables
from pattlite_jax.scoring import logits as logits_lib
from pattlite_jax.scoring import metrics
from pattlite_jax.training import optimizer, same_view
from pattlite_jax.training import step as step_lib
from pattlite_jax.training.learning_rate import LearningRate
from pattlite_jax.training.step import TrainState
from pattlite_jax.weights import trunk


@dataclasses.dataclass(frozen=True)
class Stage:
  """What the steps of one stage need."""

  method: Method
  tx: optax.GradientTransformation
  trainable: PyTree
  learning_rate: LearningRate
  first_step: int  # In the count of `TrainState.step`.
  ema_decay: float
  labels: Int[np.ndarray, "N"]  # Of the training images.
  teachers: same_view.Teachers | None = None

  def start(
    self, variables: Variables, labels: Int[np.ndarray, "N"] | None = None
  ) -> TrainState:
    """Returns the state before the stage's first step.

    `labels` are those in use after the stage before it, if any.
    """
    if self.method.relabel is not None and labels is None:
      labels = self.labels
    return step_lib.create_state(
      variables,
      self.tx,
      self.trainable,
      self.first_step,
      averaged=self.ema_decay > 0,
      labels=labels,
    )

  def step(
    self,
    state: TrainState,
    batch: Batch,
    key: Key[Array, ""],
    teachers: tuple[Variables, ...] = (),
  ) -> tuple[TrainState, metrics.Metrics]:
    """Takes one step on one device's share of a batch; not yet mapped.

    `teachers` are the variables of those of the stage.
    """
    return step_lib.train_step(
      state,
      batch,
      key,
      teachers,
      method=self.method,
      tx=self.tx,
      trainable=self.trainable,
      first_step=self.first_step,
      num_steps=self.learning_rate.num_steps,
      ema_decay=self.ema_decay,
      ask=self.teachers.ask if self.teachers else None,
    )


def stage(
  config: ml_collections.ConfigDict,
  name: str,
  train: examples_lib.Examples,
  *,
  first_epoch: int = 0,
  epochs_before: int = 0,
  teachers: same_view.Teachers | None = None,
) -> Stage:
  """Returns a stage of training, "stage1" or "stage2".

  `first_epoch` is Keras' index of its first epoch, `epochs_before` how many
  epochs the stages before it took. `teachers` are those that its steps ask.
  """
  fields = config[name]
  method = methods.build(
    config,
    len(train.class_names),
    stage=name,
    class_counts=examples_lib.class_counts(train),
  )
  steps_per_epoch = examples_lib.steps_per_epoch(
    examples_lib.epoch_size(train), config.batch_size
  )
  learning_rate = LearningRate(
    fields.learning_rate,
    fields.schedule,
    steps_per_epoch,
    num_epochs=fields.epochs,
    warmup_epochs=fields.warmup_epochs,
    decay_epochs=fields.decay_epochs,
    step_epochs=fields.step_epochs,
    step_factor=fields.step_factor,
    first_epoch=first_epoch,
  )
  params = method.shapes["params"]
  return Stage(
    method=method,
    tx=optimizer.make(
      fields.optimizer,
      fields.learning_rate,
      global_clipnorm=config.global_clipnorm,
      weight_decay=fields.weight_decay,
      momentum=fields.momentum,
      schedule=learning_rate.factor,
    ),
    trainable=optimizer.trainable(params, fields.trunk),
    learning_rate=learning_rate,
    first_step=epochs_before * steps_per_epoch,
    ema_decay=fields.ema_decay,
    labels=train.labels,
    teachers=teachers,
  )


def random_variables(
  config: ml_collections.ConfigDict, num_classes: int
) -> Variables:
  """Returns the network's variables as drawn from `config.seed`."""
  method = methods.build(config, num_classes)
  return jax.jit(method.init)(jax.random.key(config.seed))


def init_variables(
  config: ml_collections.ConfigDict, num_classes: int
) -> Variables:
  """Returns the variables before training: a loaded trunk, a random head.

  A run that starts from a trained network needs no trunk's file.
  """
  source = config.model.trunk_weights
  if source == "random" or config.start_from:
    return random_variables(config, num_classes)
  drawn = _with_shapes_of_trunk(config, num_classes)
  if source == "imagenet":
    weights = trunk.load_mobilenet_trunk()
  else:
    own = {kind: tree[TRUNK] for kind, tree in drawn.items() if TRUNK in tree}
    weights = trunk.load_trunk(source, config.model.trunk, own)
  return trunk.insert_trunk(drawn, weights)


def _with_shapes_of_trunk(
  config: ml_collections.ConfigDict, num_classes: int
) -> Variables:
  """Returns `random_variables` with the shapes of the trunk in its place.

  XLA takes seconds to compile what draws a trunk, for a file to replace it.
  """
  method = methods.build(config, num_classes)

  def draw(key):
    return {
      kind: {name: leaves for name, leaves in tree.items() if name != TRUNK}
      for kind, tree in method.init(key).items()
    }

  drawn = jax.jit(draw)(jax.random.key(config.seed))
  return {
    kind: {name: drawn[kind].get(name, shapes) for name, shapes in tree.items()}
    for kind, tree in method.shapes.items()
  }


def validation(
  config: ml_collections.ConfigDict, examples: examples_lib.Examples
) -> Callable[[Variables], dict[str, float]]:
  """Returns variables -> loss and accuracy on the validation split.

  Without images it returns neither.
  For a method that mixes the batch these are the published protocol's, as its
  early stopping sees them: Keras' fit validates in batches of the training
  size.
  """
  if not len(examples):
    return lambda variables: {}
  method = methods.build(config, len(examples.class_names))
  batch_size = config.eval.batch_size
  if method.mixes_batch:
    batch_size = config.batch_size
    examples = examples_lib.reorder(examples, config.eval.order, config.seed)
  predict = logits_lib.Predictor(method, method.network)

  def validate(variables):
    logits = predict(variables, examples, batch_size=batch_size)
    scores = metrics.score(
      logits, examples.labels, ids=examples.ids, split="validation"
    )
    return {name: scores[name] for name in ("loss", "accuracy")}

  return validate
