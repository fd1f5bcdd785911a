"""Whether two networks differ by more than chance on the same images.

McNemar's test (Psychometrika 12, 1947), exact: images that both get right or
both get wrong say nothing. If neither network is better, each of the others is
as likely to be right in the one as in the other.
"""

from typing import Any

import scipy.stats

from pattlite_jax.scoring.inputs import Inputs, match_classes
from pattlite_jax.scoring.network import Network
from pattlite_jax.scoring.protocols import Predictions


def against(
  other: Network, inputs: Inputs, predictions: Predictions, batch_size: int
) -> dict[str, Any]:
  """Scores another network on the images of `inputs`, each alone.

  `predictions` are those of the network of `inputs`. Returns the "accuracy" of
  the other one, "right_here_alone", "right_there_alone" and "p_value".

  Raises:
    UserError: if the data has a class that the other network does not know.
  """
  examples = match_classes(inputs.examples, other.class_names)
  logits = other.predictors().alone(examples, batch_size)
  theirs = logits.argmax(-1) == examples.labels
  ours = predictions["logits"].argmax(-1) == predictions["labels"]
  here, there = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
  return {
    "accuracy": float(theirs.mean()),
    "right_here_alone": here,
    "right_there_alone": there,
    "p_value": mcnemar(here, there),
  }


def mcnemar(one: int, other: int) -> float:
  """Returns how likely counts so far apart, or farther, are by chance alone.

  `one` and `other` count the images that one of two networks alone gets right.
  """
  if not one + other:
    return 1.0
  return float(scipy.stats.binomtest(one, one + other).pvalue)
