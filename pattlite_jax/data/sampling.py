"""Which training images an epoch visits, and in which order.

Always a function of the labels, the seed and the epoch alone, so that a run
that goes on sees what it would have seen.
  shuffle      each image once (plain shuffling)
  balanced     as many draws as there are images, with replacement: each draw
               is of every class alike, then of each of its images alike, as
               the ImbalancedDatasetSampler of DAN's AffectNet runs
  repeat_rare  images of rare classes several times, the others once, as
               APViT's class-balanced data set (Gupta et al., LVIS, 2019)
"""

import numpy as np
from jaxtyping import Int

# A class with a smaller share f of the images is rare: each of its images comes
# ceil(sqrt(RARE / f)) times (APViT, configs/_base_/datasets/RAF.py).
RARE = 0.15


def epoch_order(
  num_examples: int, *, seed: int, epoch: int
) -> Int[np.ndarray, "N"]:
  """Returns the order in which a plain epoch visits the examples."""
  return np.random.default_rng([seed, epoch]).permutation(num_examples)


def epoch_rows(
  labels: Int[np.ndarray, "N"], sampling: str, *, seed: int, epoch: int
) -> Int[np.ndarray, "M"]:
  """Returns the rows of the images that an epoch visits, in order.

  Every epoch has as many: `epoch_size`. With "balanced", every class up to the
  largest label needs an image.
  """
  if sampling == "balanced":
    return _balanced(labels, np.random.default_rng([seed, epoch]))
  if sampling == "repeat_rare":
    rows = np.repeat(np.arange(len(labels)), _repeats(labels))
    return rows[epoch_order(len(rows), seed=seed, epoch=epoch)]
  assert sampling == "shuffle", sampling
  return epoch_order(len(labels), seed=seed, epoch=epoch)


def epoch_size(labels: Int[np.ndarray, "N"], sampling: str) -> int:
  """Returns how many images an epoch visits, repeated ones counted."""
  if sampling == "repeat_rare":
    return int(_repeats(labels).sum())
  return len(labels)


def _balanced(
  labels: Int[np.ndarray, "N"], rng: np.random.Generator
) -> Int[np.ndarray, "N"]:
  counts = np.bincount(labels)
  assert counts.all(), counts
  by_class = np.argsort(labels, kind="stable")
  first = np.cumsum(counts) - counts  # Of each class in `by_class`.
  drawn = rng.integers(len(counts), size=len(labels))
  return by_class[first[drawn] + rng.integers(counts[drawn])]


def _repeats(labels: Int[np.ndarray, "N"]) -> Int[np.ndarray, "N"]:
  shares = np.bincount(labels) / len(labels)
  factors = np.sqrt(RARE / np.maximum(shares, 1 / len(labels)))
  return np.ceil(np.maximum(factors, 1)).astype(int)[labels]
