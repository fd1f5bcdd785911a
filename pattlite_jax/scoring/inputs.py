"""What is scored: a network, and a split whose labels are its classes."""

import dataclasses
from typing import Any

import numpy as np

from pattlite_jax.data import challenges, load
from pattlite_jax.data import class_names as names
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data.source import DataChoice
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring.network import Network


@dataclasses.dataclass(frozen=True)
class Inputs:
  """What is scored."""

  network: Network
  dataset: str
  split: str
  examples: examples_lib.Examples  # With the data set's own classes.
  subsets: tuple[challenges.Subset, ...]  # Likewise; empty if none is asked.


def load_inputs(
  network: Network,
  choice: DataChoice,
  *,
  split: str,
  challenge_lists: str | None,
) -> Inputs:
  """Loads a split, by default of what the network was trained on.

  Raises:
    UserError, MissingFileError: if the data or the lists are missing, broken
      or empty, or do not belong to the network.
  """
  source = choice.source(network.config.data)
  if challenge_lists and split != "test":
    raise UserError(
      f"--split is {split}, but the lists are of test images; pass "
      "--split=test or leave out --challenge_lists."
    )
  if challenge_lists and source.classes:
    raise UserError(
      "The challenge lists are of all classes; score the subsets of a network "
      f"that was trained on {source.classes!r} without them.",
      setting="challenge_lists",
    )
  examples = source.load()[split]
  load.require_examples(examples, split, source.name)
  match_classes(examples, network.class_names)  # Raises if it cannot.
  subsets = ()
  if challenge_lists:
    subsets = challenges.load_subsets(
      source.name,
      challenge_lists,
      None if source.packed else source.dir,
      examples,
    )
  return Inputs(network, source.name, split, examples, subsets)


def match_classes(
  examples: examples_lib.Examples, class_names: tuple[str, ...]
) -> examples_lib.Examples:
  """Returns the examples with labels that index `class_names`.

  Names that mean the same class, such as angry and anger, count as one
  (`data.class_names`). The network may know more classes than the data has.

  Raises:
    UserError: if the data has a class that the network does not know.
  """
  own = examples.class_names
  if own == class_names:
    return examples
  names.require_distinct(own, "The data set")
  found = [names.index_in(class_names, name) for name in own]
  unknown = [n for n, index in zip(own, found, strict=True) if index is None]
  if unknown:
    some_are_known = len(own) - len(unknown) > 1
    raise UserError(
      f"The data set has the classes {', '.join(own)}, but the checkpoint was "
      f"trained for {', '.join(class_names)}; choose a data set with the same "
      f"classes{', or leave out the others' if some_are_known else ''}.",
      setting="data.classes" if some_are_known else "data.name",
    )
  index = np.array(found, np.int32)
  return dataclasses.replace(
    examples, labels=index[examples.labels], class_names=class_names
  )


def describe_classes(
  own: tuple[str, ...], class_names: tuple[str, ...]
) -> dict[str, Any]:
  """Returns how `match_classes` matches a data set's classes to a network's.

  `classes_absent` are those of the network that the data set has not.
  """
  matched = {names.index_in(class_names, name) for name in own}
  return {
    "classes_reordered": own != class_names,
    "classes_translated": names.translated(own, class_names),
    "classes_absent": [
      name for index, name in enumerate(class_names) if index not in matched
    ],
  }
