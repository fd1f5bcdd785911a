"""Label correction against a reference in TensorFlow, and as a whole run."""

import jax
import jax.numpy as jnp
import method_reference as reference
import numpy as np
import pytest
import small_step
import tensorflow as tf
from small_run import StoppedError, fit, saved_best

from pattlite_jax import methods
from pattlite_jax.methods import label_correction
from pattlite_jax.runtime import parallel
from pattlite_jax.training import setup

UNITS = np.array([[0, 1], [1, np.nan], [np.nan, 0], [1, 1], [0, 0], [1, 0]])
AFFECT = np.array([[0.5, -1], [np.nan, 1], [0, 0], [1, 0.2], [-1, 1], [1, 1]])


@pytest.fixture
def config(small_config):
  config = small_step.configure(small_config, "label_correction")
  config.model.action_units = "AU1, AU12"
  config.model.annotation_weight = 0.5
  config.model.relabel_after_epochs = 1.0  # Of two.
  config.model.relabel_margin = 0.05
  return config


@pytest.fixture
def examples():
  return small_step.faces(
    annotations={
      "action_units": UNITS.astype(np.float32),
      "affect": AFFECT.astype(np.float32),
    }
  )


def known_mean(losses, truth):
  known = np.isfinite(truth)
  return tf.reduce_mean(tf.boolean_mask(losses, known))


@pytest.mark.slow
def test_outputs_terms_and_gradients_are_the_references(config, examples):
  variables = small_step.draw_variables(config, seed=2)
  images = reference.prepared(examples)[: reference.NUM_VALID]
  labels = small_step.faces().labels[: reference.NUM_VALID]
  units = UNITS[: reference.NUM_VALID]
  affect = AFFECT[: reference.NUM_VALID]

  def expected(params):
    x = tf.reduce_mean(reference.features(params["trunk"], images), [1, 2])
    alpha = tf.sigmoid(reference.dense(x, params["confidence"]))
    logits = alpha * reference.dense(x, params["classifier"])
    order = np.argsort(-alpha.numpy()[:, 0])
    high, low = (tf.gather(alpha, rows) for rows in (order[:3], order[3:]))
    gap = tf.reduce_mean(high) - tf.reduce_mean(low)
    assert 0 < gap < 0.15
    found = reference.dense(x, params["annotations"])
    bce = tf.nn.sigmoid_cross_entropy_with_logits(
      np.nan_to_num(units), found[:, :2]
    )
    squares = (found[:, 2:] - np.nan_to_num(affect)) ** 2
    terms = {
      "rank": 0.15 - gap,
      "action_units": 0.5 * known_mean(bce, units),
      "affect": 0.5 * known_mean(squares, affect),
    }
    outputs = {"logits": logits, "confidence": alpha[:, 0]}
    return outputs, reference.cross_entropies(logits, labels), terms

  ours = reference.our_step(config, examples, variables)
  reference.assert_is_reference(ours, variables, expected)


def on_devices(num_devices, function, *rows):
  """Returns what a function of the global batch's rows gives, in their order.

  The shares of the devices are mapped over the axis that devices share.
  """
  shares = [jnp.asarray(x).reshape(num_devices, -1, *x.shape[1:]) for x in rows]
  mapped = jax.vmap(function, axis_name=parallel.AXIS)
  return np.asarray(jax.jit(mapped)(*shares))


@pytest.mark.parametrize("num_devices", [1, 2, 4])
@pytest.mark.parametrize(
  ("valid", "sure"),
  [
    ([1, 1, 1, 1], [0, 1, 0, 1]),  # int(0.7 * 4) = 2 of 4.
    ([1, 0, 1, 1], [1, 0, 0, 1]),
    ([0, 0, 1, 0], [0, 0, 0, 0]),  # One image has none to be surer than.
    ([1, 0, 1, 0], [1, 0, 0, 0]),
  ],
)
def test_the_surer_part_and_its_term(num_devices, valid, sure):
  confidence = np.array([0.5, 0.9, 0.1, 0.8], np.float32)
  valid, sure = np.array(valid, bool), np.array(sure, bool)

  def parts(confidence, mask):
    return label_correction.surer(confidence, mask, 0.7)

  found = on_devices(num_devices, parts, confidence, valid)
  assert found.ravel().tolist() == sure.tolist()

  def term(confidence, sure, mask):
    return label_correction.rank_term(confidence, sure, mask, 0.6)

  wanted = 0.0
  if sure.any():
    gap = confidence[sure].mean() - confidence[valid & ~sure].mean()
    wanted = max(0.0, 0.6 - gap)
  found = on_devices(num_devices, term, confidence, sure, valid)
  np.testing.assert_allclose(found, wanted, atol=1e-6)
  assert num_devices == len(found)


@pytest.mark.parametrize("progress", [0.49, 0.5])
@pytest.mark.parametrize("num_devices", [1, 2])
def test_an_unsure_image_gets_the_class_that_is_surer_by_a_margin(
  config, num_devices, progress
):
  """After the warm-up, one epoch of two; a sure image keeps its label."""
  probabilities = np.array(
    [
      [0.2, 0.6, 0.2],  # Sure.
      [0.2, 0.5, 0.3],  # By 0.3: becomes 1.
      [0.4, 0.41, 0.19],  # By 0.01.
      [0.1, 0.1, 0.8],  # Padding.
      [0.7, 0.2, 0.1],  # Has it already.
      [0.2, 0.5, 0.3],  # Sure.
    ],
    np.float32,
  )
  confidence = np.array([0.9, 0.1, 0.2, 0.3, 0.25, 0.8], np.float32)
  mask = np.array([1, 1, 1, 0, 1, 1], bool)
  config.model.sure_share = 0.4  # Two of five.
  relabel = methods.build(config, 3, stage="stage1").relabel

  def found(logits, confidence, labels, mask):
    outputs = {"logits": logits, "confidence": confidence}
    batch = {"label": labels, "mask": mask}
    return relabel(outputs, batch, jnp.float32(progress))

  labels = on_devices(
    num_devices,
    found,
    np.log(probabilities),
    confidence,
    np.zeros(6, np.int32),
    mask,
  ).ravel()
  assert labels[mask].tolist() == [0, int(progress == 0.5), 0, 0, 0]


@pytest.mark.slow
def test_a_stopped_run_ends_as_an_unbroken_one(quick_config, splits, tmp_path):
  """The labels in use are a part of its state, from stage to stage."""
  quick_config.method = "label_correction"
  quick_config.data.label_noise = 0.4
  quick_config.data.sampling = "repeat_rare"  # An image may come twice.
  quick_config.model.relabel_after_epochs = 0.5
  quick_config.model.relabel_margin = 0.0
  quick_config.stage1.learning_rate = 0.01
  whole, _ = fit(quick_config, splits)
  weights = saved_best(quick_config)
  quick_config.workdir = str(tmp_path / "stopped")
  quick_config.checkpoint_every_steps = 2
  with pytest.raises(StoppedError):
    fit(quick_config, splits, stop_at=9)
  resumed, _ = fit(quick_config, splits)
  assert resumed == whole
  jax.tree.map(np.testing.assert_array_equal, saved_best(quick_config), weights)
  in_use = whole["labels_in_use"]
  assert 0 < in_use["corrected"] == len(in_use["images"])
  assert all(change["from"] != change["to"] for change in in_use["images"])
  assert whole["training_images"]["wrong_labels"] == round(0.4 * 18)


def test_the_labels_in_use_pass_to_the_second_stage(config, examples):
  config.model.action_units = ""
  stage = setup.stage(config, "stage2", examples)
  shapes = stage.method.shapes
  variables = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
  assert (
    stage.start(variables).labels.tolist() == small_step.faces().labels.tolist()
  )
  other = small_step.faces().labels[::-1].copy()
  assert stage.start(variables, other).labels.tolist() == other.tolist()
