"""Which names of classes mean the same: angry is anger, happy is happiness.

Data sets write them differently; what compares classes goes by `canonical`.
"""

import collections
from collections.abc import Iterable, Sequence

from pattlite_jax.runtime.errors import UserError

# By the names that this package's data sets have. Only words for the same
# expression: a smile is none of them, and calm is not neutral.
SYNONYMS = {
  "anger": ("angry",),
  "contempt": ("contemptuous",),
  "disgust": ("disgusted",),
  "fear": ("fearful", "afraid", "scared"),
  "happiness": ("happy", "joy"),
  "neutral": ("neutrality",),
  "sadness": ("sad",),
  "surprise": ("surprised",),
}
_CANONICAL = {
  other: name for name, others in SYNONYMS.items() for other in (name, *others)
}


def canonical(name: str) -> str:
  """Returns the name by which a class is compared: letter case, synonyms."""
  plain = " ".join(name.casefold().replace("_", " ").split())
  return _CANONICAL.get(plain, plain)


def index_in(class_names: Sequence[str], name: str) -> int | None:
  """Returns which of the classes a name means; None if none of them."""
  if name in class_names:
    return class_names.index(name)
  wanted = canonical(name)
  for index, own in enumerate(class_names):
    if canonical(own) == wanted:
      return index
  return None


def columns(
  own: Sequence[str], wanted: Sequence[str]
) -> tuple[int, ...] | None:
  """Returns where `own` has each of the wanted classes.

  None if one of either is not among the others.
  """
  indices = (index_in(own, name) for name in wanted)
  found = tuple(index for index in indices if index is not None)
  whole = sorted(found) == list(range(len(own))) and len(own) == len(wanted)
  return found if whole else None


def translated(own: Sequence[str], others: Sequence[str]) -> dict[str, str]:
  """Returns {"angry": "anger"}: classes of `own` that `others` write anew."""
  pairs = {name: index_in(others, name) for name in own}
  return {
    name: others[index]
    for name, index in pairs.items()
    if index is not None and others[index] != name
  }


def require_distinct(names: Iterable[str], where: str) -> None:
  """Raises UserError if two of the names mean the same class."""
  groups = collections.defaultdict(list)
  for name in names:
    groups[canonical(name)].append(name)
  for alike in groups.values():
    if len(alike) > 1:
      raise UserError(
        f"{where} has the classes {' and '.join(map(repr, alike))}, which are "
        "the same one; put their images together, or give one another name.",
        setting="data.dir",
      )
