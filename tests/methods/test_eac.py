"""EAC against a reference in TensorFlow, written from the paper's facts."""

import jax
import jax.numpy as jnp
import numpy as np
import one_step
import pytest
import small_step
import tensorflow as tf
from flax import traverse_util
from small_run import StoppedError, fit, saved_best

from pattlite_jax.data import augment as augment_lib
from pattlite_jax.methods import eac
from pattlite_jax.training import setup

TOLERANCE = 1e-5


@pytest.fixture
def config(small_config):
  return small_step.configure(small_config, "eac")


@pytest.fixture
def examples():
  return small_step.faces()


def batch_norm(x, params, statistics, of_batch):
  if of_batch:
    mean, var = tf.nn.moments(x, [0, 1, 2])
  else:
    mean, var = statistics["mean"], statistics["var"]
  return (x - mean) / tf.sqrt(var + 1e-3) * params["scale"] + params["bias"]


def features(params, stats, images, of_batch):
  """MobileNetV1 to conv_pw_1_relu, in NHWC."""
  ones = [1, 1, 1, 1]
  x = tf.nn.conv2d(images, params["conv1"]["kernel"], 2, "SAME")
  x = batch_norm(x, params["conv1_bn"], stats["conv1_bn"], of_batch)
  x = tf.nn.relu6(x)
  kernel = tf.transpose(params["conv_dw_1"]["kernel"], [0, 1, 3, 2])
  x = tf.nn.depthwise_conv2d(x, kernel, ones, "SAME")
  x = batch_norm(x, params["conv_dw_1_bn"], stats["conv_dw_1_bn"], of_batch)
  x = tf.nn.relu6(x)
  x = tf.nn.conv2d(x, params["conv_pw_1"]["kernel"], 1, "VALID")
  x = batch_norm(x, params["conv_pw_1_bn"], stats["conv_pw_1_bn"], of_batch)
  return tf.nn.relu6(x)


def reference(variables, images, labels, *, weight, of_batch):
  """Returns (cross-entropy, weighted consistency, gradients by path).

  In float64: logits = W GAP(F(x)) + b; M(x)[k] = sum_c sg(W)[k, c] F(x)[c];
  the mean over (B, K, H, W) of (M(x) - flip(M(flip(x))))^2, times the weight.
  """
  flat = traverse_util.flatten_dict(variables["params"])
  arrays = {path: tf.Variable(x.astype(np.float64)) for path, x in flat.items()}
  stats = jax.tree.map(lambda x: x.astype(np.float64), variables["batch_stats"])
  with tf.GradientTape() as tape:
    params = traverse_util.unflatten_dict(arrays)
    x = features(params["trunk"], stats["trunk"], images, of_batch)
    y = features(
      params["trunk"], stats["trunk"], tf.reverse(images, [2]), of_batch
    )
    head = params["classifier"]
    logits = tf.reduce_mean(x, [1, 2]) @ head["kernel"] + head["bias"]
    kernel = tf.stop_gradient(tf.convert_to_tensor(head["kernel"]))
    maps, mirrored = (tf.einsum("bhwc,ck->bkhw", z, kernel) for z in (x, y))
    gap = maps - tf.reverse(mirrored, [3])
    consistency = weight * tf.reduce_mean(gap * gap)
    cross_entropy = tf.reduce_mean(
      tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    )
    loss = cross_entropy + consistency
  gradients = tape.gradient(loss, list(arrays.values()))
  return (
    float(cross_entropy),
    float(consistency),
    {path: g.numpy() for path, g in zip(arrays, gradients, strict=True)},
  )


@pytest.mark.parametrize("statistics", ["imagenet", "batch"])
def test_both_terms_and_all_gradients_are_the_references(
  statistics, config, examples
):
  config.stage1.trunk_statistics = statistics
  variables = small_step.draw_variables(config)
  prepared = augment_lib.prepare(jnp.asarray(examples.images), image_size=24)
  expected = reference(
    variables,
    np.asarray(prepared, np.float64).repeat(3, axis=-1),
    examples.labels,
    weight=config.model.consistency_weight,
    of_batch=statistics == "batch",
  )
  metrics, gradients, _ = one_step.take(config, examples, variables)
  consistency = float(metrics.terms["consistency"]) / 6
  cross_entropy = float(metrics.loss_sum) / 6 - consistency
  assert cross_entropy == pytest.approx(expected[0], rel=TOLERANCE)
  assert consistency == pytest.approx(expected[1], rel=TOLERANCE)
  assert consistency > 0.01  # Else an error of it would not show.
  assert gradients.keys() == expected[2].keys()
  for path, gradient in expected[2].items():
    scale = np.abs(gradient).max()
    assert scale > 0, path
    np.testing.assert_allclose(
      gradients[path], gradient, atol=TOLERANCE * max(1, scale), err_msg=path
    )


def test_the_maps_of_a_mirrored_pair_agree_where_they_should():
  maps = jax.random.normal(jax.random.key(0), (2, 3, 4, 5))
  np.testing.assert_array_equal(eac.consistency(maps, maps[:, :, ::-1]), 0)
  assert (eac.consistency(maps, maps) > 0.1).all()


def test_the_second_view_is_the_mirror_image_of_the_first(config, examples):
  config.augment.random_erasing = 1.0
  stage = setup.stage(config, "stage1", examples)
  keys = jax.random.split(jax.random.key(0), 6)
  image, mirrored = stage.method.views(keys, jnp.asarray(examples.images))
  np.testing.assert_array_equal(image[:, :, ::-1], mirrored)
  assert np.abs(image - mirrored).max() > 0.5


def test_on_noisy_labels_each_view_has_a_gap_of_its_own(config, examples):
  config.augment.random_erasing = 1.0
  config.model.erase_apart = True
  stage = setup.stage(config, "stage1", examples)
  keys = jax.random.split(jax.random.key(0), 6)
  image, mirrored = stage.method.views(keys, jnp.asarray(examples.images))
  differs = np.asarray(image != mirrored[:, :, ::-1]).mean(axis=(1, 2, 3))
  assert (differs > 0.01).all() and (differs < 0.6).all()  # Only in the gaps.


@pytest.mark.slow
def test_a_stopped_run_ends_as_an_unbroken_one(quick_config, splits, tmp_path):
  quick_config.method = "eac"
  whole, writer = fit(quick_config, splits)
  weights = saved_best(quick_config)
  quick_config.workdir = str(tmp_path / "stopped")
  quick_config.checkpoint_every_steps = 2
  with pytest.raises(StoppedError):
    fit(quick_config, splits, stop_at=7)
  resumed, _ = fit(quick_config, splits)
  assert resumed == whole
  jax.tree.map(np.testing.assert_array_equal, saved_best(quick_config), weights)
  # The term is logged by its name, as a part of the loss.
  logged = [s for _, s in writer.scalars if "train/consistency" in s]
  assert logged and all(
    0 < s["train/consistency"] < s["train/loss"] for s in logged
  )
  assert all("train_consistency" in record for record in whole["history"])
