"""The temperature of a released network, and what it changes."""

import dataclasses
from typing import Any

from pattlite_jax.data.examples import Examples
from pattlite_jax.scoring import metrics, temperature
from pattlite_jax.scoring.inputs import match_classes
from pattlite_jax.trained import Trained

SPLIT = "validation"  # The one that training has looked at already.


def calibrated(
  network: Trained, examples: Examples
) -> tuple[Trained, dict[str, Any]]:
  """Returns the network with a temperature, and what config.json says of it.

  `examples` are those of `SPLIT`. The figures after are of temperatures that
  were fitted on the other half of the images (`temperature.cross_fitted`).

  Raises:
    UserError: if a logit is NaN or Inf.
  """
  examples = match_classes(examples, network.class_names)
  logits = network.predictor_alone()(examples, 32)
  before = metrics.score(logits, examples.labels, ids=examples.ids, split=SPLIT)
  after = metrics.score(
    temperature.cross_fitted(logits, examples.labels), examples.labels
  )
  fitted = temperature.fit(logits, examples.labels)
  return dataclasses.replace(network, temperature=fitted), {
    "split": SPLIT,
    "num_examples": before["num_examples"],
    **{f"{name}_before": before[name] for name in ("ece", "loss")},
    **{f"{name}_after": after[name] for name in ("ece", "loss")},
  }
