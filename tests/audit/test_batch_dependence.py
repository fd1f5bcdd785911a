import jax
import numpy as np
import pytest

from pattlite_jax import config as config_lib
from pattlite_jax import trained
from pattlite_jax.audit import batch_dependence, of_trained
from pattlite_jax.data.examples import Examples
from pattlite_jax.training import setup


def features(images):
  """Means over quarters of the images, f32[B, 4] in [-0.5, 0.5]."""
  halves = images.shape[1] // 2
  x = images[..., 0].reshape(len(images), 2, halves, 2, halves)
  return x.mean(axis=(2, 4), dtype=np.float32).reshape(-1, 4) / 255 - 0.5


def per_image(images):
  weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
  return features(images) @ weights


def batch_norm_in_training_mode(images):
  x = per_image(images)
  return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-3)


def audit(logits_of, examples, **settings):
  return batch_dependence.audit(logits_of, examples, seed=0, **settings)


def changes(report):
  return {
    (c["name"], c["batch_size"]): c["largest_change"]
    for c in report["conditions"]
  }


def test_a_sample_has_each_class_by_its_share_and_keeps_the_order():
  labels = np.repeat([2, 0, 1], [100, 40, 60]).astype(np.int32)
  images = np.arange(200, dtype=np.uint8)[:, None, None, None]
  ids = np.arange(200).astype(str)
  examples = Examples(images, labels, ids, ("a", "b", "c"))
  drawn = batch_dependence.sample(examples, 20, seed=0)
  assert np.bincount(drawn.labels).tolist() == [4, 6, 10]
  assert (np.diff(drawn.ids.astype(int)) > 0).all()
  again = batch_dependence.sample(examples, 20, seed=0)
  other = batch_dependence.sample(examples, 20, seed=1)
  assert again.ids.tolist() == drawn.ids.tolist() != other.ids.tolist()


def test_a_sample_of_more_than_there_is_is_everything(make_examples):
  examples = make_examples(7)
  drawn = batch_dependence.sample(examples, 100, seed=0)
  assert drawn.ids.tolist() == examples.ids.tolist()


def test_batches_are_full_and_hold_every_image(make_examples):
  labels = make_examples(21).labels
  seen = dict(batch_dependence.arrangements(labels, 8, seed=0))
  for batches in seen.values():
    assert batches.shape[1] == 8
    assert set(batches.ravel()) == set(range(21))
  official = seen["official order"]
  assert official.ravel()[:21].tolist() == list(range(21))
  assert (seen["the same batches, reversed"] == official[:, ::-1]).all()
  assert seen["shuffled"].ravel()[:21].tolist() != list(range(21))
  assert all(len(set(labels[b])) == 1 for b in seen["single class"])


def test_a_model_of_single_images_passes(make_examples):
  examples = make_examples(50)
  report = audit(per_image, examples)
  assert report["passed"]
  assert report["verdict"].startswith("independent")
  assert max(changes(report).values()) < 1e-6
  assert len(report["conditions"]) == 1 + 4 + 4
  alone = (per_image(examples.images).argmax(-1) == examples.labels).mean()
  assert {c["accuracy"] for c in report["conditions"]} == {alone}
  assert report["alone"]["accuracy"] == alone


def test_batch_norm_in_training_mode_fails(make_examples):
  report = audit(batch_norm_in_training_mode, make_examples(50))
  assert not report["passed"]
  assert report["verdict"].startswith("dependent")
  assert all(
    c["passed"] == (c["batch_size"] == 1) for c in report["conditions"]
  )


def test_the_place_within_a_batch_is_noticed(make_examples):
  def last_row_is_special(images):
    logits = per_image(images)
    if len(images) > 1:
      logits[-1, 0] += 1
    return logits

  report = audit(last_row_is_special, make_examples(16), batch_sizes=(8,))
  official, turned, *_ = report["conditions"]
  for condition in (official, turned):
    assert condition["largest_change"] == pytest.approx(1, abs=1e-5)
    assert condition["flips"] <= 2


def test_single_class_batches_show_what_a_majority_vote_gains():
  """A model that answers with its batch's mean is right on pure batches."""
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 2, 64).astype(np.int32)
  brightness = np.where(labels, 140, 115) + rng.normal(0, 25, 64)
  images = np.clip(brightness, 0, 255).astype(np.uint8)[:, None, None, None]
  examples = Examples(images, labels, np.arange(64).astype(str), ("a", "b"))

  def vote(images):
    mean = images.mean() / 255 - 0.5
    return np.full((len(images), 2), [-mean, mean])

  report = audit(vote, examples, batch_sizes=(1, 16))
  accuracy = {c["name"]: c["accuracy"] for c in report["conditions"]}
  assert report["alone"]["accuracy"] < 0.9
  assert accuracy["single class"] == 1
  flips = {c["name"]: c["flips"] for c in report["conditions"]}
  wrong_alone = round(64 * (1 - report["alone"]["accuracy"]))
  assert flips["single class"] == wrong_alone > 0


def test_a_model_that_draws_random_numbers_is_not_repeatable(make_examples):
  rng = np.random.default_rng(0)

  def dropout(images):
    x = per_image(images)
    return x * (rng.random(x.shape) > 0.5)

  report = audit(dropout, make_examples(20))
  assert not report["passed"]
  assert report["verdict"].startswith("not repeatable")


@pytest.mark.parametrize(("noise", "passed"), [(5e-4, True), (2e-3, False)])
def test_tolerance_is_relative_to_the_logits(make_examples, noise, passed):
  def noisy(images):
    logits = per_image(images)
    logits -= logits.mean(axis=-1, keepdims=True)
    logits /= np.sqrt(np.mean(logits**2, axis=-1, keepdims=True))
    if len(images) > 1:
      logits[:, 0] += noise
    return 1000 * logits + 4000  # Softmax ignores what is added to all.

  report = audit(noisy, make_examples(8), batch_sizes=(8,))
  assert report["logit_scale"] == pytest.approx(1000, rel=1e-4)
  assert report["passed"] == passed


def test_bad_outputs_are_errors(make_examples):
  examples = make_examples(4)
  with pytest.raises(ValueError, match=r"shape \(1,\) for 1 images"):
    audit(lambda images: np.zeros(len(images)), examples)
  with pytest.raises(ValueError, match="not finite"):
    audit(lambda images: np.full((len(images), 3), np.nan), examples)


@pytest.fixture(scope="module")
def make_network():
  """Makes networks of the same weights that differ in attention and dtype."""
  config = config_lib.get_config()
  config.model.cut = "conv_pw_1_relu"
  config.model.image_size = 24
  variables = jax.device_get(setup.random_variables(config, 3))
  classes = ("anger", "disgust", "happiness")

  def make(attention, dtype):
    own = config.copy_and_resolve_references()
    own.model.attention, own.model.dtype = attention, dtype
    return trained.Trained(variables, own, classes)

  return make


@pytest.mark.parametrize(
  ("attention", "dtype", "passed"),
  [("batch", "float32", False), ("token", "bfloat16", True)],
)
def test_networks_of_this_project(
  make_examples, make_network, attention, dtype, passed
):
  network = make_network(attention, dtype)
  logits_of = of_trained.logits_of(network)
  report = audit(logits_of, make_examples(9), batch_sizes=(1, 4))
  assert report["passed"] == passed
  if passed:  # As in float32, which the network itself does not compute in.
    assert max(changes(report).values()) < 1e-4 * report["logit_scale"]
  assert changes(report)["alone, a second time", 1] == 0
  assert network.config.model.dtype == dtype


def test_logits_alone_are_those_of_batches_of_one(make_examples, make_network):
  network, examples = make_network("batch", "float32"), make_examples(3)
  one_by_one = of_trained.logits_of(network)
  expected = np.concatenate([one_by_one(x[None]) for x in examples.images])
  actual = of_trained.logits_alone(network, examples)
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_a_keras_model(make_examples):
  keras = pytest.importorskip("keras")
  keras.utils.set_random_seed(0)
  inputs = keras.Input((16, 16, 1))
  x = keras.layers.Rescaling(1 / 255)(inputs)
  x = keras.layers.Dense(8, activation="relu")(keras.layers.Flatten()(x))
  mixed = keras.layers.Attention(use_scale=True)([x, x])
  classify = keras.layers.Dense(3)
  alone = keras.Model(inputs, classify(x))
  across_batch = keras.Model(inputs, classify(mixed))
  examples = make_examples(12)
  settings = {"batch_sizes": (1, 4)}
  assert audit(alone.predict_on_batch, examples, **settings)["passed"]
  assert not audit(across_batch.predict_on_batch, examples, **settings)[
    "passed"
  ]


def test_a_pytorch_model(make_examples):
  torch = pytest.importorskip("torch")
  torch.manual_seed(0)
  model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 4, 3),
    torch.nn.BatchNorm2d(4),
    torch.nn.Flatten(),
    torch.nn.Linear(4 * 14 * 14, 3),
  )

  def logits_of(images):
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
      return model(pixels).numpy()

  examples = make_examples(12)
  model.train()
  assert not audit(logits_of, examples, batch_sizes=(1, 4))["passed"]
  model.eval()
  assert audit(logits_of, examples, batch_sizes=(1, 4))["passed"]


def test_examples_of_one_class_are_enough(make_examples):
  examples = make_examples(30)
  one_class = examples.take(np.flatnonzero(examples.labels == 1))
  report = audit(per_image, one_class, batch_sizes=(4,))
  assert report["passed"]
