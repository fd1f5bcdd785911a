"""Training on some of a data set's classes, or on several as one.

`config.data.classes` says which: "happiness,sadness" keeps two of them, and
"negative=anger+disgust+fear,happiness" makes one of three. Nothing is read or
prepared anew: the choice is made among the images of the set.
"""

import dataclasses

import numpy as np

from pattlite_jax.data import class_names as names
from pattlite_jax.data.examples import Examples
from pattlite_jax.runtime.errors import UserError

_FORM = (
  "Write classes with commas between, such as happiness,sadness; name=a+b "
  "makes one class of two."
)


def parse(text: str) -> dict[str, tuple[str, ...]]:
  """Returns what each class is made of: {"negative": ("anger", "fear")}.

  Raises:
    UserError: if the text has another form.
  """
  found: dict[str, tuple[str, ...]] = {}
  for part in text.split(","):
    name, equals, members = (word.strip() for word in part.partition("="))
    sources = [
      word.strip() for word in (members if equals else name).split("+")
    ]
    if not name or not all(sources) or (not equals and len(sources) > 1):
      raise UserError(
        f"The classes {text!r} cannot be read at {part.strip()!r}. {_FORM}",
        setting="data.classes",
      )
    if name in found:
      raise UserError(
        f"The classes {text!r} have {name!r} twice. {_FORM}",
        setting="data.classes",
      )
    found[name] = tuple(sources)
  return found


def choose(examples: Examples, text: str) -> Examples:
  """Returns the images of the classes that `text` names, with these classes.

  A class keeps the name that the data set or, of several together, the text
  gives it. Targets keep the shares of what is left, made to add up to 1.

  Raises:
    UserError: as `parse`; if the set lacks a class, one is named twice, or
      fewer than two are left.
  """
  groups = _groups(examples.class_names, text)
  new_label = np.full(len(examples.class_names), -1)
  for label, (_, members) in enumerate(groups):
    new_label[members] = label
  rows = np.flatnonzero(new_label[examples.labels] >= 0)
  kept = examples.take(rows)
  targets = kept.targets
  if targets is not None:
    merged = np.stack([targets[:, m].sum(axis=1) for _, m in groups], axis=1)
    targets = merged / np.maximum(merged.sum(axis=1, keepdims=True), 1e-9)
    targets = targets.astype(np.float32)
  return dataclasses.replace(
    kept,
    labels=new_label[kept.labels].astype(np.int32),
    class_names=tuple(name for name, _ in groups),
    targets=targets,
  )


def _groups(
  class_names: tuple[str, ...], text: str
) -> list[tuple[str, list[int]]]:
  """Returns the new classes: their names and the labels that they are of."""
  groups, used = [], {}
  for name, sources in parse(text).items():
    members = []
    for source in sources:
      index = names.index_in(class_names, source)
      if index is None:
        raise UserError(
          f"There is no class {source!r} in the data set, which has "
          f"{', '.join(class_names)}.",
          setting="data.classes",
        )
      if index in used:
        raise UserError(
          f"The classes {text!r} have {class_names[index]!r} twice. {_FORM}",
          setting="data.classes",
        )
      used[index] = name
      members.append(index)
    is_own = sources == (name,)
    groups.append((class_names[members[0]] if is_own else name, members))
  names.require_distinct((name for name, _ in groups), f"The choice {text!r}")
  if len(groups) < 2:
    raise UserError(
      f"The classes {text!r} are one, but a network tells two or more apart.",
      setting="data.classes",
    )
  return groups
