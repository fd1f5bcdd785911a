"""A validation split for sets that come without one: a tenth of each class.

Needs no library and no order of files, so anybody can find the same images:
each class is sorted by the hex SHA-256 of "pattlite-0:<name>", and the first
tenth is taken.
"""

import hashlib
from collections.abc import Mapping

_SEED = "pattlite-0"  # Part of the published rule; never to be changed.


def held_out_size(class_size: int) -> int:
  """Returns 10 % of a class, rounded to the nearest, halves up."""
  return (class_size + 5) // 10


def held_out(labels: Mapping[str, int]) -> set[str]:
  """Returns the names to hold out of a training set {name: label}."""
  chosen = set()
  for label in set(labels.values()):
    names = [name for name, own in labels.items() if own == label]
    chosen.update(sorted(names, key=_digest)[: held_out_size(len(names))])
  return chosen


def _digest(name: str) -> str:
  return hashlib.sha256(f"{_SEED}:{name}".encode()).hexdigest()
