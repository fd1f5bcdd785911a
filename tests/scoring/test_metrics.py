import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring import metrics

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


def test_sums_hold_more_than_single_precision_does():
  """A long epoch has more images than float32 can count one by one."""
  many = {"loss_sum": 2.0**25, "correct": 2.0**24, "count": 2.0**24}
  one = metrics.Metrics(
    loss_sum=np.array([0.25, 0.125], np.float32),
    correct=np.array([1, 0], np.int32),
    count=np.array([1, 1], np.int32),
    terms={"term": np.array([0.1, 0.2], np.float32)},
  )
  got = metrics.add(many, one)
  assert got["count"] == 2**24 + 2 and got["correct"] == 2**24 + 1
  assert got["loss_sum"] == 2**25 + 0.375
  assert got["term"] == float(np.float32(0.1)) + float(np.float32(0.2))


def test_score_counts_labels_by_rows():
  got = metrics.score(LOGITS, LABELS)
  assert got["accuracy"] == 0.5
  assert got["num_examples"] == 4
  assert got["confusion_matrix"] == [[1, 0, 1], [1, 1, 0], [0, 0, 0]]
  probs = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
  expected = -np.log(probs[np.arange(4), LABELS]).mean()
  assert got["loss"] == pytest.approx(expected, rel=1e-5)


def test_score_of_each_class():
  got = metrics.score(LOGITS, LABELS)
  assert got["per_class"] == [
    {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2},
    {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2},
    {"precision": 0.0, "recall": None, "f1": 0.0, "support": 0},
  ]
  assert got["mean_class_accuracy"] == 0.5  # Over the two that have images.
  assert got["macro_f1"] == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_an_error(bad):
  logits = LOGITS.copy()
  logits[[1, 3], 0] = bad
  with pytest.raises(UserError, match=r"2 of 4 .*test split.* b, d;"):
    metrics.score(logits, LABELS, ids=np.array(list("abcd")), split="test")
  with pytest.raises(UserError, match="first those of 1, 3;"):
    metrics.score(logits, LABELS)


def test_a_class_neither_seen_nor_predicted_has_no_figures():
  first, second, third = metrics.class_figures(
    np.array([[3, 0, 0], [1, 0, 0], [0, 0, 0]])
  )
  assert first["precision"] == 0.75
  assert (second["precision"], second["recall"], second["f1"]) == (None, 0, 0)
  assert third == {"precision": None, "recall": None, "f1": None, "support": 0}


# The examples of Newcombe (1998), "Two-sided confidence intervals for the
# single proportion", method 3.
@pytest.mark.parametrize(
  ("correct", "count", "interval"),
  [
    (81, 263, (0.2553, 0.3662)),
    (15, 148, (0.0624, 0.1605)),
    (0, 20, (0.0, 0.1611)),
    (1, 29, (0.0061, 0.1718)),
  ],
)
def test_wilson_interval_as_published(correct, count, interval):
  got = metrics.wilson_interval(correct, count)
  assert got == pytest.approx(interval, abs=5e-5)


@given(st.integers(1, 5000), st.floats(0, 1))
def test_wilson_interval_holds_the_share_and_is_symmetric(count, share):
  correct = round(share * count)
  low, high = metrics.wilson_interval(correct, count)
  assert 0 <= low <= correct / count + 1e-12
  assert correct / count - 1e-12 <= high <= 1
  other_low, other_high = metrics.wilson_interval(count - correct, count)
  assert (low, high) == pytest.approx((1 - other_high, 1 - other_low), abs=1e-9)


def test_calibration_of_known_bins():
  # Bin 7 is (7, 8] / 15; the last holds a confidence of exactly 1.
  confidences = np.array([0.50, 0.52, 0.50, 0.52, 1.0, 1.0], np.float32)
  right = np.array([True, False, False, False, True, True])
  ece, bins = metrics.calibration(confidences, right)
  assert len(bins) == 15
  assert [row["count"] for row in bins] == [0] * 7 + [4] + [0] * 6 + [2]
  assert bins[0] == {"count": 0, "confidence": None, "accuracy": None}
  assert bins[7]["confidence"] == pytest.approx(0.51)
  assert bins[7]["accuracy"] == 0.25
  assert bins[14] == {"count": 2, "confidence": 1.0, "accuracy": 1.0}
  assert ece == pytest.approx(4 / 6 * (0.51 - 0.25))


@pytest.mark.parametrize("k", range(1, 16))
def test_a_confidence_on_an_edge_is_in_the_bin_below(k):
  edge = k / 15
  for confidence, chosen in (
    (edge, k - 1),
    (np.nextafter(edge, 0), k - 1),
    (np.nextafter(edge, 2), min(k, 14)),
  ):
    _, bins = metrics.calibration(np.array([confidence]), np.array([True]))
    assert [row["count"] for row in bins] == [b == chosen for b in range(15)]


@given(st.lists(st.tuples(st.floats(0.01, 1), st.booleans()), min_size=1))
def test_calibration_error_as_defined(rows):
  confidences = np.array([confidence for confidence, _ in rows])
  right = np.array([hit for _, hit in rows])
  ece, _ = metrics.calibration(confidences, right)
  expected = 0.0
  for k in range(15):
    chosen = (confidences > k / 15) & (confidences <= (k + 1) / 15)
    if chosen.any():
      gap = abs(confidences[chosen].mean() - right[chosen].mean())
      expected += chosen.mean() * gap
  assert ece == pytest.approx(expected)


def test_sure_and_wrong_is_the_worst_calibration():
  logits = np.array([[50.0, 0], [50, 0]], np.float32)
  wrong = metrics.score(logits, np.array([1, 1], np.int32))
  assert wrong["ece"] == pytest.approx(1)
  assert metrics.score(logits, np.array([0, 0], np.int32))["ece"] == 0
