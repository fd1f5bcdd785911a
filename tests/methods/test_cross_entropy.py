"""What stages change in the cross-entropy that the methods share."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pattlite_jax import methods

COUNTS = np.array([70, 20, 10])


@pytest.fixture
def loss_of(small_config):
  """Returns (logits, batch, adjustment) -> the loss of each image."""

  def loss_of(logits, batch, adjustment):
    small_config.stage1.class_weights = False
    small_config.stage1.logit_adjustment = adjustment
    method = methods.build(small_config, 3, stage="stage1", class_counts=COUNTS)
    batch = {name: jnp.asarray(value) for name, value in batch.items()}
    outputs = {"logits": jnp.asarray(logits)}
    return method.loss(outputs, batch, jnp.float32(0.5))[0]

  return loss_of


@pytest.fixture
def logits():
  return np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


@pytest.mark.parametrize("adjustment", [0.0, 0.5, 1.0])
def test_logits_are_adjusted_by_the_log_of_the_classes_shares(
  loss_of, logits, adjustment
):
  labels = np.array([0, 2, 1, 2], np.int32)
  shifted = logits + adjustment * np.log(COUNTS / 100)
  probabilities = np.exp(shifted) / np.exp(shifted).sum(-1, keepdims=True)
  np.testing.assert_allclose(
    loss_of(logits, {"label": labels}, adjustment),
    -np.log(probabilities[np.arange(4), labels]),
    rtol=1e-5,
  )


def test_a_teachers_share_is_adjusted_as_the_labels(
  small_config, loss_of, logits
):
  small_config.distillation.share = 1.0
  small_config.distillation.temperature = 2.0
  taught = np.full((4, 3), 1 / 3, np.float32)
  shifted = logits + np.log(COUNTS / 100).astype(np.float32)
  batch = {"label": np.zeros(4, np.int32), "taught": taught}
  np.testing.assert_allclose(
    loss_of(logits, batch, 1.0),
    4 * optax.softmax_cross_entropy(shifted / 2, taught),
    rtol=1e-5,
  )
