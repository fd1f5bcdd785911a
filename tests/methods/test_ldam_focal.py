"""LDAM with the focal factor against a reference in TensorFlow."""

import jax
import jax.numpy as jnp
import method_reference as reference
import numpy as np
import pytest
import small_step
import tensorflow as tf

from pattlite_jax.methods import ldam_focal
from pattlite_jax.runtime.errors import UserError


@pytest.mark.slow
def test_logits_loss_and_all_gradients_are_the_references(small_config):
  config = small_step.configure(small_config, "ldam_focal")
  config.stage1.label_smoothing = 0.1
  config.model.logit_scale = 8.0
  examples = small_step.faces().take(np.array([0, 1, 2, 3, 0, 5]))
  variables = small_step.draw_variables(config)
  images = reference.prepared(examples)[: reference.NUM_VALID]
  labels = examples.labels[: reference.NUM_VALID]
  counts = np.bincount(examples.labels)
  assert counts.tolist() == [3, 1, 2]
  margins = 0.5 * counts**-0.25  # Of the rarest, 1 image: 0.5.
  # Between 0.4 and 0.8 of the stage, a quarter of the way.
  weights = (6 / (3 * counts)) ** 0.25
  weights /= (weights * counts).sum() / 6

  def expected(params):
    x = tf.reduce_mean(reference.features(params["trunk"], images), [1, 2])
    cosines = (
      tf.linalg.normalize(x, axis=1)[0]
      @ (tf.linalg.normalize(params["classifier"]["kernel"], axis=0)[0])
    )
    own = tf.one_hot(labels, 3, dtype=tf.float64)
    log_p = tf.nn.log_softmax(8.0 * (cosines - own * margins))
    p = tf.reduce_sum(own * tf.exp(log_p), axis=1)
    entropy = -tf.reduce_sum((0.9 * own + 0.1 / 3) * log_p, axis=1)
    losses = weights[labels] * (1 - p) ** 2 * entropy
    return {"logits": 8.0 * cosines}, losses, {}

  ours = reference.our_step(config, examples, variables, progress=0.5)
  reference.assert_is_reference(ours, variables, expected)


def test_the_margins_are_ldams():
  """m_c = max_m (n_min / n_c)^(1/4), as in `losses.py`."""
  found = ldam_focal.margins(np.array([16, 81, 1]), 0.5)
  np.testing.assert_allclose(found, [0.25, 0.5 / 3, 0.5], rtol=1e-6)


def test_a_class_without_images_is_named():
  with pytest.raises(UserError, match=r"\[3, 0, 2\].* none of class 2"):
    ldam_focal.margins(np.array([3, 0, 2]), 0.5)


@pytest.mark.parametrize("phase", [0.0, 0.5, 1.0])
def test_weights_go_from_uniform_to_balanced(phase):
  counts = np.array([10, 40, 50])
  balanced, shares = 100 / (3 * counts), counts / 100
  found = ldam_focal.class_weights(
    *(jnp.asarray(x, jnp.float32) for x in (balanced, shares, phase))
  )
  found = np.asarray(found)
  assert (found * shares).sum() == pytest.approx(1)
  if phase == 0:
    assert found.tolist() == [1, 1, 1]
  elif phase == 1:
    np.testing.assert_allclose(found, balanced, rtol=1e-6)
  else:
    np.testing.assert_allclose(found[0] / found[1], 2, rtol=1e-6)


def test_without_gamma_a_sure_image_has_a_gradient():
  """The power 0 of 0 would make it NaN."""

  def loss(logits):
    return ldam_focal.focal_ldam(
      logits,
      jnp.array([0]),
      shifts=jnp.zeros(3),
      gamma=0.0,
      label_smoothing=0.0,
    ).sum()

  gradient = jax.grad(loss)(jnp.array([[200.0, 0.0, 0.0]]))
  assert np.isfinite(gradient).all()
