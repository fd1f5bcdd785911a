"""What is scored: a network, and a split whose labels are its classes."""

import dataclasses

import numpy as np

from pattlite_jax.data import challenges, load
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

  Raises:
    UserError: unless they are the examples' classes, in whatever order.
  """
  own = examples.class_names
  if own == class_names:
    return examples
  if sorted(own) != sorted(class_names):
    raise UserError(
      f"The data set has the classes {', '.join(own)}, but the checkpoint was "
      f"trained for {', '.join(class_names)}; choose a data set with the same "
      "classes.",
      setting="data.name",
    )
  index = np.array([class_names.index(name) for name in own], np.int32)
  return dataclasses.replace(
    examples, labels=index[examples.labels], class_names=class_names
  )
