"""Splits of images that have none: seeded, stratified, nobody in two of them.

The same on every machine: the order of the groups comes from SHA-256, and
nothing depends on the order of the files.
"""

import collections
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np


def split(
  groups: Sequence[str],
  labels: Sequence[int],
  shares: Mapping[str, float],
  *,
  seed: int,
) -> list[str]:
  """Returns the split of each image, given its group and label.

  The images of a group stay together. Groups go, the largest first and equal
  ones by a hash of the seed and their names, each to the split that still needs
  most of its classes to have its share of them. Where there are groups enough,
  no split stays empty.
  """
  num_classes = max(labels, default=0) + 1
  counts = collections.defaultdict(lambda: np.zeros(num_classes))
  for group, label in zip(groups, labels, strict=True):
    counts[group][label] += 1
  total = sum(counts.values(), np.zeros(num_classes))
  need = {name: share * total for name, share in shares.items()}
  chosen: dict[str, str] = {}
  order = sorted(counts, key=lambda g: (-counts[g].sum(), _digest(seed, g)))
  for group in order:
    own = counts[group]
    # Of equal ones, that which needs most of all: else small classes would
    # all go to the same.
    best = max(
      need, key=lambda name: (float(own @ need[name]), float(need[name].sum()))
    )
    chosen[group] = best
    need[best] = need[best] - own
  _fill(chosen, order, list(shares))
  return [chosen[group] for group in groups]


def _fill(chosen: dict[str, str], order: list[str], names: list[str]) -> None:
  """Gives an empty split the smallest group of that with most groups."""
  for name in names:
    sizes = collections.Counter(chosen.values())
    if sizes[name] or not sizes:
      continue
    largest, size = sizes.most_common(1)[0]
    if size > 1:
      moved = [g for g in order if chosen[g] == largest][-1]
      chosen[moved] = name


def _digest(seed: int, group: str) -> str:
  text = f"pattlite-folders-{seed}:{group}"
  return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
