"""Figures from logits: every example counts once, whatever the batches were."""

import dataclasses
import math
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from pattlite_jax.runtime.errors import UserError

NUM_BINS = 15  # Bins of confidence, for the calibration error.


@flax.struct.dataclass
class Metrics:
  """Sums over the examples of a training step; add them over steps."""

  # f32[], with the method's terms and weighted by class where training does so.
  loss_sum: Any
  correct: Any  # i32[]
  count: Any  # i32[]
  # {name: f32[]}: of each term of the method's loss, its part of `loss_sum`.
  terms: Any = flax.struct.field(default_factory=dict)

  def with_terms(self, terms: dict[str, Float[Array, ""]]) -> "Metrics":
    """Returns the sums of the global batch with the terms of its loss."""
    if not terms:
      return self
    sums = {name: value * self.count for name, value in terms.items()}
    return dataclasses.replace(
      self, loss_sum=self.loss_sum + sum(sums.values()), terms=sums
    )


def from_batch(
  losses: Float[Array, "B"],
  logits: Float[Array, "B K"],
  labels: Int[Array, "B"],
  mask: Bool[Array, "B"],
) -> Metrics:
  """Sums the rows where `mask` is True."""
  correct = (logits.argmax(-1) == labels) & mask
  return Metrics(
    loss_sum=jnp.sum(losses * mask),
    correct=jnp.sum(correct),
    count=jnp.sum(mask),
  )


def summary(sums: dict[str, float]) -> dict[str, float]:
  """Turns added `Metrics` into a mean loss and an accuracy in [0, 1].

  The terms of the loss, if any, stand beside it under their names.
  """
  means = {name: value / sums["count"] for name, value in sums.items()}
  return {
    "loss": means.pop("loss_sum"),
    "accuracy": means.pop("correct"),
    **{name: mean for name, mean in means.items() if name != "count"},
  }


def add(sums: dict[str, float], steps: Metrics) -> dict[str, float]:
  """Adds sums stacked over steps, on the host in double precision, in order.

  However the steps were stacked, the total is the same to the last bit.
  """
  totals = dict(sums)
  stacked = {name: getattr(steps, name) for name in zero()} | steps.terms
  for name, values in stacked.items():
    for value in np.ravel(values):
      totals[name] = totals.get(name, 0.0) + float(value)
  return totals


def zero() -> dict[str, float]:
  """Returns the sums over no examples."""
  return {"loss_sum": 0.0, "correct": 0.0, "count": 0.0}


def score(
  logits: Float[np.ndarray, "N K"],
  labels: Int[np.ndarray, "N"],
  *,
  ids: np.ndarray | None = None,
  split: str = "",
) -> dict[str, Any]:
  """Returns the figures of at least one example, as JSON takes them.

  `ids` str[N] and `split` name the images in an error; without ids they are
  named by their row.

  Shares lie in [0, 1]; one that would be 0 / 0 is None and in no mean.
    accuracy_interval    Wilson's 95 % interval [low, high]; holds if images
                         are predicted independently of each other
    mean_class_accuracy  mean recall
    loss                 mean cross-entropy, in nats
    ece, calibration     see `calibration`
    per_class            precision, recall, f1 and support of each class
    confusion_matrix     examples by [label][prediction]

  Raises:
    UserError: if a logit is NaN or Inf; argmax would still name a class.
  """
  require_finite(logits, ids, split)
  num_classes = logits.shape[-1]
  log_probs = np.asarray(jax.nn.log_softmax(logits))
  predictions = logits.argmax(-1)
  right = predictions == labels
  confusion = np.zeros((num_classes, num_classes), int)
  np.add.at(confusion, (labels, predictions), 1)
  per_class = class_figures(confusion)
  ece, bins = calibration(np.exp(log_probs.max(-1)), right)
  return {
    "num_examples": len(labels),
    "accuracy": float(right.mean()),
    "accuracy_interval": list(wilson_interval(int(right.sum()), len(labels))),
    "macro_f1": _mean([row["f1"] for row in per_class]),
    "mean_class_accuracy": _mean([row["recall"] for row in per_class]),
    "loss": float(-log_probs[np.arange(len(labels)), labels].mean()),
    "ece": ece,
    "per_class": per_class,
    "confusion_matrix": confusion.tolist(),
    "calibration": bins,
  }


def require_finite(
  logits: Float[np.ndarray, "N K"],
  ids: np.ndarray | None = None,
  split: str = "",
) -> None:
  """Checks that all logits are finite.

  Raises:
    UserError: if one is NaN or Inf; names the split and the first such images.
  """
  rows = np.flatnonzero(~np.isfinite(logits).all(axis=1))
  if not len(rows):
    return
  names = [str(row if ids is None else ids[row]) for row in rows[:3]]
  where = f" of the {split} split" if split else ""
  raise UserError(
    f"The logits of {len(rows):,} of {len(logits):,} images{where} are not "
    f"finite (NaN or Inf), first those of {', '.join(names)}; an accuracy of "
    "them would mean nothing. The network's weights or its arithmetic have "
    "overflowed."
  )


def wilson_interval(correct: int, count: int) -> tuple[float, float]:
  """Returns the 95 % score interval of a share (Wilson, 1927)."""
  z = 1.959963984540054  # The normal distribution's 97.5 % point.
  share, scale = correct / count, 1 + z**2 / count
  centre = share + z**2 / (2 * count)
  half = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
  return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def class_figures(confusion: Int[np.ndarray, "K K"]) -> list[dict[str, Any]]:
  """Returns precision, recall, f1 and support (number of images) by class."""
  return [
    {
      "precision": _ratio(right, predicted),
      "recall": _ratio(right, support),
      "f1": _ratio(2 * right, predicted + support),
      "support": support,
    }
    for right, predicted, support in zip(
      confusion.diagonal().tolist(),
      confusion.sum(0).tolist(),
      confusion.sum(1).tolist(),
      strict=True,
    )
  ]


def calibration(
  confidences: Float[np.ndarray, "N"], right: Bool[np.ndarray, "N"]
) -> tuple[float, list[dict[str, Any]]]:
  """Returns (ECE, bins): does a confidence of p mean right in p of cases?

  A confidence is the largest probability, in [0, 1]. Bin k of NUM_BINS holds
  those in (k, k + 1] / NUM_BINS: their count, mean confidence and accuracy.
  ECE is the mean distance of the two means, each bin weighing its count
  (Guo et al., 2017).
  """
  upper_edges = np.arange(1, NUM_BINS) / NUM_BINS
  chosen = np.searchsorted(upper_edges, confidences.astype(float))
  count = np.bincount(chosen, minlength=NUM_BINS)
  sums = np.bincount(chosen, confidences, NUM_BINS)
  hits = np.bincount(chosen, right, NUM_BINS)
  bins = [
    {"count": n, "confidence": _ratio(total, n), "accuracy": _ratio(hit, n)}
    for n, total, hit in zip(
      count.tolist(), sums.tolist(), hits.tolist(), strict=True
    )
  ]
  return float(np.abs(sums - hits).sum() / len(right)), bins


def _ratio(part: int | float, whole: int) -> float | None:
  return part / whole if whole else None


def _mean(values: list[float | None]) -> float:
  return float(np.mean([value for value in values if value is not None]))
