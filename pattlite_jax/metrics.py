"""Figures from logits: every example counts once, whatever the batches were."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


@flax.struct.dataclass
class Metrics:
  """Sums over the examples of a training step; add them over steps."""

  loss_sum: Any  # f32[], weighted by class where training weights the loss.
  correct: Any  # i32[]
  count: Any  # i32[]


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
  """Turns added `Metrics` into a mean loss and an accuracy in [0, 1]."""
  return {
    "loss": sums["loss_sum"] / sums["count"],
    "accuracy": sums["correct"] / sums["count"],
  }


def add(sums: dict[str, float], step: Metrics) -> dict[str, float]:
  """Adds a step's sums on the host, in double precision and in order."""
  return {
    name: total + float(getattr(step, name)) for name, total in sums.items()
  }


def zero() -> dict[str, float]:
  """Returns the sums over no examples."""
  return {"loss_sum": 0.0, "correct": 0.0, "count": 0.0}


def score(
  logits: Float[np.ndarray, "N K"], labels: Int[np.ndarray, "N"]
) -> dict[str, Any]:
  """Returns loss, accuracy and confusion matrix of a whole split.

  The confusion matrix counts examples by [label][prediction].
  """
  num_classes = logits.shape[-1]
  log_probs = np.asarray(jax.nn.log_softmax(logits))
  predictions = logits.argmax(-1)
  confusion = np.zeros((num_classes, num_classes), int)
  np.add.at(confusion, (labels, predictions), 1)
  return {
    "num_examples": len(labels),
    "accuracy": float((predictions == labels).mean()),
    "loss": float(-log_probs[np.arange(len(labels)), labels].mean()),
    "confusion_matrix": confusion.tolist(),
  }
