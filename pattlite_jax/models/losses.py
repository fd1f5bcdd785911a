"""Losses of each image that methods share."""

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from pattlite_jax.runtime.lazy import optax


def balanced_class_weights(
  class_counts: Int[np.ndarray, "K"],
) -> Float[np.ndarray, "K"]:
  """scikit-learn's "balanced": n / (K n_c); 1 for a class without examples."""
  num_classes = len(class_counts)
  weights = class_counts.sum() / (num_classes * np.maximum(class_counts, 1))
  return np.where(class_counts > 0, weights, 1.0).astype(np.float32)


def log_prior(class_counts: Int[np.ndarray, "K"]) -> Float[np.ndarray, "K"]:
  """Returns the logarithm of each class's share; one without examples has 1."""
  counts = np.maximum(class_counts, 1)
  return np.log(counts / counts.sum()).astype(np.float32)


def cross_entropy(
  logits: Float[Array, "B K"],
  labels: Int[Array, "B"],
  targets: Float[Array, "B K"] | None,
  *,
  class_weights: Float[Array, "K"],
  label_smoothing: float,
) -> Float[Array, "B"]:
  """Returns the cross-entropies against `targets`, else against the labels.

  The share of class k in a target weighs the image `class_weights[k]` times:
  for a label that is Keras' class_weight. Smoothing then moves a part of each
  target to all classes alike.
  """
  if targets is None and not label_smoothing:
    return class_weights[labels] * (
      optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    )
  if targets is None:
    targets = jax.nn.one_hot(labels, logits.shape[-1])
  weights = (class_weights * targets).sum(-1)
  smooth = optax.smooth_labels(targets, label_smoothing)
  return weights * optax.softmax_cross_entropy(logits, smooth)


def distilled(
  own: Float[Array, "B"],
  logits: Float[Array, "B K"],
  taught: Float[Array, "B K"],
  *,
  share: float,
  temperature: float,
) -> Float[Array, "B"]:
  """Returns the losses `own` with a share of teachers' probabilities in them.

  Class weights and label smoothing are those of `own` alone.

  `taught` were made with the temperature. The square of it keeps the size of
  the gradients (Hinton et al. 2015, section 2).
  """
  loss = optax.softmax_cross_entropy(logits / temperature, taught)
  return (1 - share) * own + share * temperature**2 * loss
