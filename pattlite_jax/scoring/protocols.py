"""The one scorer: a split's figures under each protocol there is.

The end of a run, `evaluate` and `release` all write this form, and whoever
shows figures reads it:

  {"dataset": ..., "rule": ..., "method": ..., "attention": ..., "sharing": ...,
   "patch_extraction": ..., "seed": ...,
   "splits": {split: {
     "per_sample": FIGURES,
     "across_batch": {"order": ..., "batch_size": ..., "order_seed": ...,
                      "changed_predictions": ..., FIGURES},
     "flip_views": FIGURES,
     "against": {"checkpoint": ..., "accuracy": ..., "right_here_alone": ...,
                 "right_there_alone": ..., "p_value": ...},
     "challenges": {subset: {..., "list_labels": {"per_sample": ..., ...},
                             "data_set_labels": {"per_sample": ..., ...}}}}}}

FIGURES are those of `metrics.score`.
  per_sample    each image predicted alone; always there
  across_batch  only of a network that mixes the images of a batch: depends on
                the order and the batch size. It has no accuracy_interval, which
                holds for images that are predicted independently.
                changed_predictions counts the images whose class is another
                one alone; null in results that are older than the count.
  flip_views    mean logits of each image alone and of its mirror image; only
                where asked for
  against       another network beside this one, by `paired.against`; only where
                `evaluate` is asked for it
  challenges    RAN's subsets of the test split, scored by the labels of their
                lists and of the data set; only where asked for
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Int

from pattlite_jax.data import challenges
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.scoring import logits as logits_lib
from pattlite_jax.scoring import metrics
from pattlite_jax.scoring.inputs import (
  Inputs,
  describe_classes,
  match_classes,
)
from pattlite_jax.scoring.network import Network, Predictors

# ids str[N], labels i32[N], logits f32[N, K] of each image alone; of a network
# that mixes its batch also logits_across_batch f32[N, K], and if asked for
# logits_flip_views f32[N, K]. All in the examples' own order.
Predictions = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Batches:
  """How the images of a split come into batches."""

  order: str  # One of config.ORDERS.
  batch_size: int
  order_seed: int  # Seed of the order "shuffled".


def evaluate(
  inputs: Inputs, batches: Batches, *, flip_views: bool = False
) -> tuple[dict[str, Any], Predictions]:
  """Returns the figures of all that is scored, and the split's predictions."""
  network = inputs.network
  predictors = network.predictors()
  scores, predictions = score(
    predictors,
    match_classes(inputs.examples, network.class_names),
    batches,
    split=inputs.split,
    flip_views=flip_views,
  )
  if inputs.subsets:
    scores["challenges"] = {
      subset.source.published.subset: _score_subset(
        subset, network.class_names, predictors, batches
      )
      for subset in inputs.subsets
    }
  result = {
    "trained_on": network.config.data.name,
    **describe(network, inputs.dataset),
    "class_names": list(network.class_names),
    **describe_classes(inputs.examples.class_names, network.class_names),
    "splits": {inputs.split: scores},
  }
  return result, predictions


def describe(network: Network, dataset: str) -> dict[str, Any]:
  """Returns what every result says of the network and the data set."""
  family, _, rule = dataset.partition("/")
  return {
    "dataset": family,
    "rule": rule or None,
    "method": network.config.method,
    # None for methods without a choice of it.
    "attention": network.attention,
    "sharing": network.sharing,
    "patch_extraction": network.patch_extraction,
    "seed": network.config.seed,
  }


def score(
  predictors: Predictors,
  examples: examples_lib.Examples,
  batches: Batches,
  *,
  split: str,
  flip_views: bool = False,
) -> tuple[dict[str, Any], Predictions]:
  """Returns a split's figures under each protocol, and its predictions.

  Raises:
    UserError: if a logit is NaN or Inf.
  """
  predictions = predict(predictors, examples, batches, flip_views=flip_views)
  return figures(predictions, examples.labels, batches, split), predictions


def predict(
  predictors: Predictors,
  examples: examples_lib.Examples,
  batches: Batches,
  *,
  flip_views: bool = False,
) -> Predictions:
  """Returns the logits under each protocol, in the examples' own order."""
  size = batches.batch_size
  found = {
    "ids": examples.ids,
    "labels": examples.labels,
    "logits": predictors.alone(examples, size),
  }
  if predictors.across_batch:
    rows = examples_lib.rows_in_order(
      examples, batches.order, batches.order_seed
    )
    mixed = predictors.across_batch(examples.take(rows), size)
    found["logits_across_batch"] = mixed[np.argsort(rows)]
  if flip_views:
    of_views = logits_lib.of_flip_views(predictors.alone)
    found["logits_flip_views"] = of_views(examples, size)
  return found


def figures(
  predictions: Predictions,
  labels: Int[np.ndarray, "N"],
  batches: Batches,
  split: str,
) -> dict[str, Any]:
  """Returns `metrics.score` under each protocol that was predicted."""

  def of(name):
    logits = predictions[name]
    return metrics.score(logits, labels, ids=predictions["ids"], split=split)

  scores = {"per_sample": of("logits")}
  if "logits_across_batch" in predictions:
    across = of("logits_across_batch")
    del across["accuracy_interval"]  # The images are not independent.
    classes, alone = (
      predictions[name].argmax(-1) for name in ("logits_across_batch", "logits")
    )
    scores["across_batch"] = {
      **dataclasses.asdict(batches),
      "changed_predictions": int((classes != alone).sum()),
      **across,
    }
  if "logits_flip_views" in predictions:
    scores["flip_views"] = of("logits_flip_views")
  return scores


def _score_subset(
  subset: challenges.Subset,
  class_names: tuple[str, ...],
  predictors: Predictors,
  batches: Batches,
) -> dict[str, Any]:
  """Scores a subset as a split of its own, by both kinds of labels.

  The order "class_sorted" goes by the labels of the list.
  """
  own = match_classes(subset.examples, class_names)
  listed = match_classes(
    dataclasses.replace(subset.examples, labels=subset.list_labels),
    class_names,
  )
  by_list, predictions = score(predictors, listed, batches, split="test")
  return {
    **challenges.describe(subset),
    "list_labels": by_list,
    "data_set_labels": figures(predictions, own.labels, batches, "test"),
  }
