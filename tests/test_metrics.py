import jax.numpy as jnp
import numpy as np
import pytest

from pattlite_jax import metrics

LOGITS = np.array([[2.0, 0, 0], [0, 3, 0], [1, 0, 0], [0, 0, 9]], np.float32)
LABELS = np.array([0, 1, 1, 0], np.int32)


def test_masked_rows_do_not_count():
  mask = jnp.array([True, True, True, False])
  losses = jnp.array([0.5, 1.0, 2.0, 100.0])
  step = metrics.from_batch(losses, *map(jnp.asarray, (LOGITS, LABELS)), mask)
  sums = metrics.add(metrics.add(metrics.zero(), step), step)
  got = metrics.summary(sums)
  assert got == {
    "loss": pytest.approx(3.5 / 3),
    "accuracy": pytest.approx(2 / 3),
  }


def test_score_counts_labels_by_rows():
  got = metrics.score(LOGITS, LABELS)
  assert got["accuracy"] == 0.5
  assert got["num_examples"] == 4
  assert got["confusion_matrix"] == [[1, 0, 1], [1, 1, 0], [0, 0, 0]]
  probs = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
  expected = -np.log(probs[np.arange(4), LABELS]).mean()
  assert got["loss"] == pytest.approx(expected, rel=1e-5)
