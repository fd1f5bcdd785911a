import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pattlite_jax.config.fields import ATTENTIONS
from pattlite_jax.methods.pattlite import PAttLite
from pattlite_jax.models import attention_classifier
from pattlite_jax.models.attention_classifier import (
  AttentionClassifier,
  attend,
)
from pattlite_jax.models.mobilenet_v1 import MobileNetV1
from pattlite_jax.models.patch_extraction import PatchExtraction
from pattlite_jax.weights import trunk

SMALL_CUT = "conv_pw_1_relu"  # Half of the input's size, not a 16th.
SIZE = 24


def count(tree):
  return sum(x.size for x in jax.tree.leaves(tree))


def shapes_at(size, **fields):
  default = {"num_classes": 7, "attention": "token", "trunk": MobileNetV1()}
  model = PAttLite(**default | fields)
  images = jnp.zeros((2, size, size, 3))
  return jax.eval_shape(
    lambda: model.init_with_output(jax.random.key(0), images)
  )


@pytest.fixture(scope="module")
def images():
  # The brightness differs, as noise alone pools to the same features.
  noise = jax.random.uniform(jax.random.key(1), (5, SIZE, SIZE, 3))
  return noise + jnp.linspace(-1, 0, 5)[:, None, None, None]


@pytest.fixture(scope="module")
def variables(images):
  model = PAttLite(7, "none", MobileNetV1(SMALL_CUT))
  variables = trunk.insert_trunk(
    jax.jit(model.init)(jax.random.key(0), images), trunk.load_mobilenet_trunk()
  )
  # A batch-norm layer fresh from init hides errors of its statistics.
  stats = variables["batch_stats"]["attention_classifier"]
  stats["pre_classifier_bn"] = {
    "mean": jnp.linspace(-1, 1, 32),
    "var": jnp.linspace(0.1, 0.3, 32),
  }
  return variables


@pytest.fixture(scope="module")
def logits_of(variables):
  apply = {  # Jitted once a mode, not once a call.
    attention: jax.jit(PAttLite(7, attention, MobileNetV1(SMALL_CUT)).apply)
    for attention in ATTENTIONS
  }

  def compute(attention, images, mask=None):
    return apply[attention](variables, images, mask)["logits"]

  return compute


@pytest.mark.parametrize(
  ("num_classes", "expected"), [(7, 1_102_664), (8, 1_102_697)]
)
def test_parameter_count_is_the_published_one(num_classes, expected):
  _, variables = shapes_at(224, num_classes=num_classes)
  assert count(variables) == expected
  trunk = {kind: tree["trunk"] for kind, tree in variables.items()}
  assert count(trunk) == 821_952


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_every_mode_has_the_same_parameters(attention):
  model = PAttLite(7, attention, MobileNetV1())
  images = jnp.zeros((1, 224, 224, 3))
  shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), images))
  assert jax.tree.structure(shapes) == jax.tree.structure(shapes_at(224)[1])
  assert count(shapes) == 1_102_664


def test_half_size_with_half_stride_has_the_same_parameters():
  outputs, variables = shapes_at(112, patch_stride=2)
  assert outputs["logits"].shape == (2, 7)
  assert count(variables) == 1_102_664


def test_without_patch_extraction_the_trunk_is_classified():
  outputs, variables = shapes_at(224, patch_extraction=False)
  assert outputs["logits"].shape == (2, 7)
  # 272,128 of the patches, and 32 weights for each of 512 - 256 more features.
  assert count(variables) == 1_102_664 - 272_128 + 32 * 256


def test_imagenets_own_pointwise_9_takes_the_place_of_the_patches():
  """It is no PAtt-Lite: neither patches nor attention."""
  outputs, variables = shapes_at(
    64,
    trunk=MobileNetV1("conv_pw_9_relu"),
    patch_extraction=False,
    attention="none",
  )
  assert outputs["logits"].shape == (2, 7)
  assert count(variables) == 1_102_920


def test_a_batch_norm_for_each_patch_layer_is_all_that_is_added():
  _, variables = shapes_at(224, patch_batch_norm=True)
  assert count(variables) == 1_102_664 + 3 * 4 * 256


@pytest.mark.slow
def test_patches_are_normalised_before_they_are_cut_off_below_zero():
  features = jax.random.normal(jax.random.key(0), (4, 5, 5, 8)) - 30
  module = PatchExtraction(features=16, batch_norm=True)
  variables = module.init(jax.random.key(1), features)
  patches, updated = module.apply(
    variables,
    jnp.concatenate([features, 100 * features[:1]]),
    jnp.arange(5) < 4,
    train=True,
    mutable=["batch_stats"],
  )
  # Each channel fires, however low its features; the padded row is not seen.
  assert (patches[:4] > 0).any(axis=(0, 1, 2)).all()
  alone, same = module.apply(
    variables, features, train=True, mutable=["batch_stats"]
  )
  np.testing.assert_allclose(patches[:4], alone, atol=1e-4)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), updated, same
  )
  assert np.abs(updated["batch_stats"]["patch1_bn"]["mean"]).max() > 1e-3


@pytest.mark.parametrize(
  ("scaled", "expected"), [(False, 1.0), (True, 32**-0.5)]
)
def test_attention_starts_at_the_scale_that_is_asked_for(scaled, expected):
  head = AttentionClassifier(7, "token", scaled=scaled)
  patches = jnp.zeros((2, 2, 2, 4))
  drawn = head.init(jax.random.key(0), patches, jnp.ones(2, bool), train=False)
  assert drawn["params"]["attention_scale"] == jnp.float32(expected)


def test_too_small_an_input_names_what_to_change():
  with pytest.raises(ValueError, match=r"4x4.*5x5.*config.model.image_size"):
    shapes_at(64)


@pytest.mark.parametrize(
  ("size", "attention", "warned"),
  [(96, "token", True), (112, "token", False), (96, "none", False)],
)
def test_attention_over_one_patch_is_warned_of(
  monkeypatch, size, attention, warned
):
  said = []
  monkeypatch.setattr(
    attention_classifier.logging,
    "log_first_n",
    lambda level, message, n: said.append(message),
  )
  shapes_at(size, patch_stride=2, attention=attention)
  assert [m for m in said if "An image has one patch" in m] == said
  assert bool(said) == warned


@pytest.mark.parametrize("attention", ["token", "none"])
def test_logits_of_an_image_do_not_depend_on_its_batch(
  attention, images, logits_of
):
  together = logits_of(attention, images)
  alone = [logits_of(attention, x[None]) for x in images]
  np.testing.assert_allclose(jnp.concatenate(alone), together, atol=1e-5)


def test_batch_attention_mixes_the_images(images, logits_of):
  together = logits_of("batch", images)
  alone = jnp.concatenate([logits_of("batch", x[None]) for x in images])
  assert jnp.abs(together - alone).max() > 1e-3


def test_batch_attention_on_one_image_is_no_attention(images, logits_of):
  alone = [logits_of("batch", x[None]) for x in images]
  np.testing.assert_allclose(
    jnp.concatenate(alone), logits_of("none", images), atol=1e-5
  )


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_padded_rows_change_no_other_row(attention, images, logits_of):
  padded = jnp.concatenate([images, 10 * jnp.ones((3, SIZE, SIZE, 3))])
  mask = jnp.arange(8) < 5
  np.testing.assert_allclose(
    logits_of(attention, padded, mask)[:5],
    logits_of(attention, images),
    atol=1e-5,
  )


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_padded_rows_change_no_batch_statistic(attention, images, variables):
  model = PAttLite(7, attention, MobileNetV1(SMALL_CUT))

  @jax.jit
  def statistics(images, mask):
    _, updated = model.apply(
      variables, images, mask, train=True, mutable=["batch_stats"]
    )
    return updated["batch_stats"]["attention_classifier"]["pre_classifier_bn"]

  padded = jnp.concatenate([images, 10 * jnp.ones((3, SIZE, SIZE, 3))])
  got = statistics(padded, jnp.arange(8) < 5)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5),
    got,
    statistics(images, jnp.ones(5, bool)),
  )
  before = variables["batch_stats"]["attention_classifier"]
  assert not np.allclose(got["mean"], before["pre_classifier_bn"]["mean"])


def test_attention_has_no_root_of_the_width():
  z = jnp.array([[1.0, 0.0], [0.0, 2.0]])
  weights = jax.nn.softmax(3.0 * z @ z.T)
  np.testing.assert_allclose(attend(z, z, jnp.float32(3)), weights @ z)


@pytest.mark.slow
def test_the_trunk_keeps_its_statistics_in_training(images, variables):
  model = PAttLite(7, "token", MobileNetV1(SMALL_CUT))
  _, updated = model.apply(
    variables, images, train=True, mutable=["batch_stats"]
  )
  jax.tree.map(
    np.testing.assert_array_equal,
    updated["batch_stats"]["trunk"],
    variables["batch_stats"]["trunk"],
  )
