"""Forward pass, gradients and training steps against the notebook in Keras.

The shipped ImageNet trunk, a random head, drawn faces; dropout and augmentation
off. Both sides start from the same numbers and see the same batches.

For gradients and steps Keras computes in float64. Its own float32 is up to 2e-4
off there: rounding moves a few ReLUs across their corners. With the whole trunk
training at a learning rate of 1e-3 such differences grow so fast that Keras'
float32 and float64 agree on no parameter after ten steps; at the second stage's
1e-5 they stay within 4e-6.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest
import tensorflow as tf
from flax import traverse_util

from pattlite_jax import methods
from pattlite_jax.benchmark.peers import keras_pattlite as reference
from pattlite_jax.config import files as config_files
from pattlite_jax.config.fields import ATTENTIONS
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data.drawing.actions import EXPRESSIONS
from pattlite_jax.data.readers.synthetic_faces import drawn_face
from pattlite_jax.models.mobilenet_v1_layers import PATT_LITE_CUT
from pattlite_jax.runtime import parallel
from pattlite_jax.scoring import logits as logits_lib
from pattlite_jax.training import optimizer, setup
from pattlite_jax.weights import trunk

NUM_CLASSES = len(EXPRESSIONS)
NUM_STEPS, BATCH_SIZE = 10, 8
TOLERANCE = 1e-4  # Share of the largest value compared.
GRADIENT_TOLERANCE = 1e-3  # Likewise; leaves room for a few moved ReLUs.
# Share of the norm of what ten steps move: a bound on values alone would pass
# steps that do nothing. Adam moves by its whole learning rate even where a
# gradient is near zero and its sign a matter of rounding.
MOVEMENT_TOLERANCE = 0.02
RATES = {"frozen": 1e-3, "all_but_bn": 1e-5}  # Learning rates of the stages.
# 224 px and stride 4 leave 2x2 patches; so do the first two, in less time.
HALF = {"image_size": 112, "patch_stride": 2, "cut": PATT_LITE_CUT}
SHALLOW = {"image_size": 32, "patch_stride": 4, "cut": "conv1_relu"}
DEEP = {"image_size": 96, "patch_stride": 4, "cut": PATT_LITE_CUT}


@pytest.fixture(autouse=True)
def exact_products():
  with jax.default_matmul_precision("highest"):  # GPUs would use TF32.
    yield


@pytest.fixture
def keras_float64():
  keras.config.set_floatx("float64")
  keras.config.set_dtype_policy("float64")
  yield
  keras.config.set_floatx("float32")
  keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="module")
def faces():
  drawn = [drawn_face("train", k) for k in range(40)]
  return examples_lib.Examples(
    np.stack([face.image for face in drawn]),
    np.array([face.label for face in drawn], np.int32),
    np.array([face.id for face in drawn]),
    EXPRESSIONS,
  )


def rgb(examples):
  return np.repeat(examples.images, 3, axis=-1).astype(np.float32)


def make_config(attention, geometry, trunk_field="frozen"):
  config = config_files.load("fer2013")
  config.batch_size = BATCH_SIZE
  config.model.attention = attention
  config.model.update(geometry)
  config.augment.random_flip = False
  config.augment.random_contrast = 0.0
  config.stage1.pooled_dropout = 0.0
  config.stage1.trunk = trunk_field
  return config


def random_head(config):
  """Returns variables: the shipped trunk, and numbers drawn for the rest."""
  rng = np.random.default_rng(1)

  def draw(path, shape):
    if path[-1] == "kernel":
      return rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
    if path[-1] in ("scale", "var"):
      return rng.uniform(0.5, 1.5, shape)
    if path[-1] == "attention_scale":
      return np.array(0.1)  # Soft enough to mix several images or patches.
    return rng.normal(0, 0.3, shape)

  shapes = methods.build(config, NUM_CLASSES).shapes
  drawn = traverse_util.path_aware_map(
    lambda path, leaf: draw(path, leaf.shape).astype(np.float32), shapes
  )
  return trunk.insert_trunk(drawn, trunk.load_mobilenet_trunk())


def keras_model(config, variables):
  model = reference.build(
    NUM_CLASSES,
    attention=config.model.attention,
    image_size=config.model.image_size,
    patch_stride=config.model.patch_stride,
    cut=config.model.cut,
  )
  reference.assign(model, traverse_util.flatten_dict(variables))
  return model


def compare(name, ours, theirs, tolerance=TOLERANCE):
  """Asserts that arrays agree within `tolerance` of the largest value."""
  ours, theirs = np.asarray(ours), np.asarray(theirs)
  assert ours.shape == theirs.shape, name
  largest = np.abs(ours - theirs).max()
  scale = np.abs(theirs).max()
  assert largest <= tolerance * scale, f"{name}: {largest} of {scale}"


@pytest.fixture(scope="module")
def forward():
  """Returns a maker of (predictor, variables, Keras model) of a mode."""

  @functools.cache
  def make(attention):
    config = make_config(attention, HALF)
    variables = random_head(config)
    method = methods.build(config, NUM_CLASSES)
    predict = logits_lib.Predictor(method, method.network)
    return predict, variables, keras_model(config, variables)

  return make


@pytest.mark.parametrize("batch_size", [1, 5, 8, 32])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_logits_are_keras(attention, batch_size, faces, forward):
  predict, variables, model = forward(attention)
  batch = faces.take(np.arange(batch_size))
  # Padded to one size, as a last batch is: one compilation serves them all.
  logits = predict(variables, batch, batch_size=32)
  expected = reference.logits(model, rgb(batch))
  compare("logits", logits, expected)
  probabilities = model.predict_on_batch(rgb(batch))
  np.testing.assert_allclose(jax.nn.softmax(logits), probabilities, atol=1e-4)


def test_the_modes_differ_on_these_faces(faces, forward):
  """Else the comparisons above would hold for the wrong mode too."""
  batch = faces.take(np.arange(8))
  logits = {}
  for attention in ATTENTIONS:
    predict, variables, _ = forward(attention)
    logits[attention] = predict(variables, batch, batch_size=32)
  for one, other in (("batch", "none"), ("token", "none"), ("batch", "token")):
    assert np.abs(logits[one] - logits[other]).max() > 0.05


def recording(tx):
  """Returns the optimizer `tx`, whose state also keeps the last gradients."""

  def init(params):
    return tx.init(params), jax.tree.map(jnp.zeros_like, params)

  def update(grads, state, params):
    updates, inner = tx.update(grads, state[0], params)
    return updates, (inner, grads)

  return optax.GradientTransformation(init, update)


def our_steps(config, variables, examples, batches):
  """Yields (loss, gradients, variables) after each step, flat."""
  stage = setup.stage(config, "stage1", examples)
  stage = dataclasses.replace(stage, tx=recording(stage.tx))
  step = parallel.pmap_train_step(stage.step)
  state = parallel.replicate(stage.start(variables))
  rows = (examples_lib.gather(examples, batch) for batch in batches)
  for batch in parallel.device_batches(rows):
    state, metrics = step(state, batch, jax.random.key(0))
    gradients = traverse_util.flatten_dict(state.opt_state[1])
    yield (
      float(metrics.loss_sum / metrics.count),
      {p: np.asarray(g) for p, g in gradients.items() if g is not None},
      jax.device_get(traverse_util.flatten_dict(state.variables)),
    )


def balanced(labels):
  """Returns scikit-learn's balanced class weights as Keras takes them."""
  counts = np.bincount(labels, minlength=NUM_CLASSES)
  return {c: len(labels) / (NUM_CLASSES * n) for c, n in enumerate(counts)}


def keras_gradients(model, images, labels, weights):
  """Returns Keras' loss and gradients, by path, of one training batch."""
  trainable = model.trainable_variables
  with tf.GradientTape() as tape:
    probabilities = model(images, training=True)
    loss = keras.losses.SparseCategoricalCrossentropy()(
      labels, probabilities, np.array([weights[label] for label in labels])
    )
  gradients = tape.gradient(loss, [variable.value for variable in trainable])
  paths = {id(v): path for path, v in reference.variables(model).items()}
  found = {}
  for variable, gradient in zip(trainable, gradients, strict=True):
    group, *path = paths[id(variable)]
    assert group == "params"
    assert gradient.dtype == "float64"
    found[tuple(path)] = reference.flax_layout(path, gradient)
  return float(loss), found


def compare_gradients(ours, theirs):
  unused = ours.keys() - theirs.keys()  # attention_scale, without attention.
  assert not any(ours[path].any() for path in unused)
  for path, expected in theirs.items():
    assert np.abs(expected).max() > 0, path
    # Where a ReLU's input is within rounding of its kink, float32 and float64
    # choose different sides, and one channel differs; hence a norm, not a
    # maximum.
    error = np.linalg.norm(ours[path] - expected)
    scale = np.linalg.norm(expected)
    assert error <= GRADIENT_TOLERANCE * scale, f"{path}: {error} of {scale}"


@pytest.mark.slow
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_loss_and_gradients_are_keras(attention, faces, keras_float64):
  config = make_config(attention, SHALLOW, "all_but_bn")
  variables = random_head(config)
  model = keras_model(config, variables)
  reference.unfreeze_trunk(model, len(model.get_layer("base").layers))
  rows = np.arange(BATCH_SIZE)
  loss, ours, _ = next(our_steps(config, variables, faces, [rows]))
  batch = faces.take(rows)
  expected_loss, theirs = keras_gradients(
    model, rgb(batch), batch.labels, balanced(faces.labels)
  )
  assert loss == pytest.approx(expected_loss, rel=1e-5)
  compare_gradients(ours, theirs)
  assert ("trunk", "conv1", "kernel") in ours


def keras_steps(model, examples, batches, learning_rate):
  """Trains the model on the batches as the notebook's `fit` does."""
  model.compile(
    keras.optimizers.Adam(learning_rate, global_clipnorm=3.0),
    "sparse_categorical_crossentropy",
    run_eagerly=True,  # Ten steps are too few to repay a compilation.
  )
  weights = balanced(examples.labels)
  for rows in batches:
    batch = examples.take(rows[rows >= 0])
    model.train_on_batch(rgb(batch), batch.labels, class_weight=weights)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("optimized")  # As Adam's steps show the last bits.
@pytest.mark.parametrize("trunk_field", ["frozen", "all_but_bn"])
def test_ten_steps_are_keras(trunk_field, faces, keras_float64):
  config = make_config("batch", DEEP, trunk_field)
  learning_rate = RATES[trunk_field]
  config.stage1.learning_rate = learning_rate
  variables = random_head(config)
  model = keras_model(config, variables)
  if trunk_field == "all_but_bn":
    reference.unfreeze_trunk(model, len(model.get_layer("base").layers))
  rng = np.random.default_rng(2)
  batches = [rng.choice(40, BATCH_SIZE, False) for _ in range(NUM_STEPS)]
  batches[4][5:] = -1  # The last batch of an epoch is padded.
  ours = list(our_steps(config, variables, faces, batches))

  first = faces.take(batches[0])
  _, theirs = keras_gradients(
    model, rgb(first), first.labels, balanced(faces.labels)
  )
  compare_gradients(ours[0][1], theirs)
  norms = [optax.global_norm(gradients) for _, gradients, _ in ours]
  assert max(norms) > 3, "No gradient was clipped."

  flat = traverse_util.flatten_dict(variables)
  reference.assign(model, flat)  # Undoes the pass's effect on batch norm.
  keras_steps(model, faces, batches, learning_rate)
  found = ours[-1][2]
  places = reference.variables(model)
  assert found.keys() == places.keys()
  for path, variable in places.items():
    expected = reference.flax_layout(path, variable)
    difference = found[path] - expected
    statistic = path[0] == "batch_stats"
    bound = TOLERANCE * (np.abs(expected).max() if statistic else 1)
    assert np.abs(difference).max() <= bound, path
    movement = np.linalg.norm(expected - flat[path])
    share = MOVEMENT_TOLERANCE * movement
    assert np.linalg.norm(difference) <= share, f"{path}: of {movement}"
    trains = path[1] != "trunk" or path[1:] in theirs
    moved = np.abs(found[path] - flat[path]).max()
    assert (moved > learning_rate) == trains, f"{path} moved by {moved}"


def trainable_paths(model):
  ids = {id(variable) for variable in model.trainable_variables}
  places = reference.variables(model)
  return {path[1:] for path, v in places.items() if id(v) in ids}


@pytest.mark.parametrize(
  ("trunk_field", "unfrozen"),
  [("frozen", None), ("frozen", reference.UNFROZEN), ("all_but_bn", 58)],
  ids=["stage 1", "stage 2 as it runs", "stage 2 as it is meant"],
)
def test_the_same_parameters_train(trunk_field, unfrozen):
  model = reference.build(NUM_CLASSES, image_size=224)
  base = model.get_layer("base")
  assert (len(base.layers), base.layers[-1].name) == (58, "conv_dw_9_relu")
  if unfrozen:
    reference.unfreeze_trunk(model, unfrozen)
  shapes = methods.build(config_files.load("fer2013"), NUM_CLASSES).shapes
  mask = optimizer.trainable(shapes["params"], trunk_field)
  flat = traverse_util.flatten_dict(mask)
  assert {path for path, trains in flat.items() if trains} == (
    trainable_paths(model)
  )
  if trunk_field == "frozen":  # As summaries of the notebook's model say.
    counts = [v.value.shape.num_elements() for v in model.trainable_variables]
    assert sum(counts) == 280_648
