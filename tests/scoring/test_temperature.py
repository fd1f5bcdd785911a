"""A temperature is found again, and never by the labels that it is tried on."""

import numpy as np
import pytest

from pattlite_jax.scoring import metrics, temperature


@pytest.fixture(scope="module")
def drawn():
  """Logits whose softmax is the chance of each label, and those labels."""
  rng = np.random.default_rng(0)
  logits = rng.normal(0, 2, (4000, 5)).astype(np.float32)
  # The largest of logits with Gumbel noise is drawn from their softmax.
  return logits, (logits + rng.gumbel(size=logits.shape)).argmax(-1)


@pytest.mark.parametrize("true", [0.25, 1.0, 3.0])
def test_the_temperature_is_found_again(drawn, true):
  logits, labels = drawn
  assert temperature.fit(true * logits, labels) == pytest.approx(true, rel=0.05)


def test_perfect_predictions_have_the_least_temperature():
  logits = np.eye(3, dtype=np.float32)
  found = temperature.fit(logits, np.arange(3))
  assert found == pytest.approx(0.05, rel=0.02)


def test_a_half_is_calibrated_by_the_labels_of_the_other(drawn):
  logits, labels = drawn
  before = metrics.score(3 * logits, labels)
  found = temperature.cross_fitted(3 * logits, labels)
  after = metrics.score(found, labels)
  assert after["accuracy"] == before["accuracy"]
  assert before["ece"] > 0.1 and after["ece"] < 0.03
  others = labels.copy()
  others[::2] = 0
  changed = temperature.cross_fitted(3 * logits, others)
  np.testing.assert_array_equal(changed[::2], found[::2])
  assert np.abs(changed[1::2] - found[1::2]).max() > 0.1
