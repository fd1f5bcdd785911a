"""What a network scores without the images that its training saw."""

from typing import Any

from pattlite_jax.audit import duplicates
from pattlite_jax.data.source import DataChoice
from pattlite_jax.scoring.inputs import Inputs, match_classes
from pattlite_jax.scoring.protocols import Predictions


def score(
  inputs: Inputs, choice: DataChoice, predictions: Predictions
) -> dict[str, Any] | None:
  """Returns `duplicates.score_clean`'s accuracies of the split that was scored.

  None where it is of another data set, or is the training split itself.
  """
  network = inputs.network
  trained_on = network.config.data
  if inputs.dataset != trained_on.name or inputs.split == "train":
    return None
  train = choice.source(trained_on).load()["train"]
  found = duplicates.audit({"train": train, inputs.split: inputs.examples})
  return duplicates.score_clean(
    found,
    inputs.split,
    match_classes(inputs.examples, network.class_names),
    predictions["logits"],
  )
