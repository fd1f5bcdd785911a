"""Losses against Keras', and against each other where they must agree."""

import jax.numpy as jnp
import keras
import numpy as np
import pytest

from pattlite_jax.models import losses

LABELS = jnp.array([0, 2, 1, 2])
ONES = jnp.ones(3)


@pytest.fixture
def logits():
  return jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)), jnp.float32)


def one_hot():
  return np.eye(3, dtype=np.float32)[np.asarray(LABELS)]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_smoothing_is_keras(logits, smoothing):
  expected = keras.losses.categorical_crossentropy(
    one_hot(), np.asarray(logits), from_logits=True, label_smoothing=smoothing
  )
  got = losses.cross_entropy(
    logits, LABELS, None, class_weights=ONES, label_smoothing=smoothing
  )
  np.testing.assert_allclose(got, np.asarray(expected), rtol=1e-5)


def test_soft_targets_are_keras(logits):
  targets = np.random.default_rng(1).dirichlet(np.ones(3), 4).astype("f4")
  expected = keras.losses.categorical_crossentropy(
    targets, np.asarray(logits), from_logits=True
  )
  got = losses.cross_entropy(
    logits,
    LABELS,
    jnp.asarray(targets),
    class_weights=ONES,
    label_smoothing=0.0,
  )
  np.testing.assert_allclose(got, np.asarray(expected), rtol=1e-5)


def test_one_hot_targets_are_labels_with_their_class_weights(logits):
  weights = jnp.array([0.5, 2.0, 3.0])
  hard, soft = (
    losses.cross_entropy(
      logits, LABELS, targets, class_weights=weights, label_smoothing=0.0
    )
    for targets in (None, jnp.asarray(one_hot()))
  )
  np.testing.assert_allclose(hard, soft, rtol=1e-5)


def test_weights_and_smoothing_are_keras(logits):
  """The label weighs the image, however its target is smoothed."""
  weights = jnp.array([0.5, 2.0, 3.0])
  expected = keras.losses.categorical_crossentropy(
    one_hot(), np.asarray(logits), from_logits=True, label_smoothing=0.1
  )
  got = losses.cross_entropy(
    logits, LABELS, None, class_weights=weights, label_smoothing=0.1
  )
  expected = np.asarray(expected) * np.asarray(weights[LABELS])
  np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_class_weights_are_balanced():
  counts = np.array([10, 30, 0, 60])
  weights = losses.balanced_class_weights(counts)
  np.testing.assert_allclose(weights, [2.5, 100 / 120, 1, 100 / 240], rtol=1e-6)
  assert (weights * counts)[[0, 1, 3]].std() < 1e-4
