"""What `evaluate` computes: a split's figures under each protocol there is.

"Per sample" is each image alone. Weights of attention "batch" also have figures
"across batch", which alone depend on the order and the batch size. "Flip views"
average each image alone and its mirror image.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int

from pattlite_jax import trained
from pattlite_jax.data import challenges, load
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data.source import DataChoice
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring import metrics
from pattlite_jax.trained import Trained

# ids str[N], labels i32[N], logits f32[N, K] of each image alone; attention
# "batch" also logits_across_batch f32[N, K], flip views logits_flip_views.
Predictions = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Batches:
  """How the images of a split come into batches."""

  order: str  # One of examples.ORDERS.
  batch_size: int
  order_seed: int  # Of the order "shuffled".


@dataclasses.dataclass(frozen=True)
class Inputs:
  """What is scored."""

  network: Trained
  dataset: str
  split: str
  examples: examples_lib.Examples  # With the data set's own classes.
  subsets: tuple[challenges.Subset, ...]  # Likewise; empty if none is asked.


def load_inputs(
  checkpoint: str,
  choice: DataChoice,
  *,
  split: str,
  challenge_lists: str | None,
) -> Inputs:
  """Loads a checkpoint and a split, by default of what it was trained on.

  Raises:
    UserError, MissingFileError: if the checkpoint, the data or the lists
      are missing, broken, empty or do not belong together.
  """
  network = trained.load(checkpoint)
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


def evaluate(
  inputs: Inputs, batches: Batches, *, flip_views: bool = False
) -> tuple[dict[str, Any], Predictions]:
  """Returns the figures of all that is scored, and the split's predictions."""
  class_names = inputs.network.class_names
  predict = make_predict(inputs.network, batches, flip_views=flip_views)
  predictions = predict(match_classes(inputs.examples, class_names))
  dataset, _, rule = inputs.dataset.partition("/")
  result = {
    "trained_on": inputs.network.config.data.name,
    "attention": inputs.network.attention,
    "seed": inputs.network.config.seed,
    "dataset": dataset,
    "rule": rule or None,
    "split": inputs.split,
    "class_names": list(class_names),
    "classes_reordered": inputs.examples.class_names != class_names,
    **figures(predictions, predictions["labels"], batches),
  }
  if inputs.subsets:
    result["challenges"] = {
      subset.source.published.subset: _score_subset(
        subset, class_names, predict, batches
      )
      for subset in inputs.subsets
    }
  return result, predictions


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


def make_predict(
  network: Trained, batches: Batches, *, flip_views: bool = False
) -> Callable[[examples_lib.Examples], Predictions]:
  """Returns examples -> predictions, both in the asked order."""
  predictors = {"logits": network.predictor_alone()}
  if network.attention == "batch":
    predictors["logits_across_batch"] = network.predictor()
  if flip_views:
    predictors["logits_flip_views"] = trained.of_flip_views(
      predictors["logits"]
    )

  def predict(examples):
    examples = examples_lib.reorder(examples, batches.order, batches.order_seed)
    return {"ids": examples.ids, "labels": examples.labels} | {
      name: logits_of(examples, batches.batch_size)
      for name, logits_of in predictors.items()
    }

  return predict


def figures(
  predictions: Predictions, labels: Int[np.ndarray, "N"], batches: Batches
) -> dict[str, Any]:
  """Returns `metrics.score` under each protocol that was predicted."""
  alone = predictions["logits"]
  scores = {"per_sample": metrics.score(alone, labels)}
  if "logits_across_batch" in predictions:
    mixed = predictions["logits_across_batch"]
    across = metrics.score(mixed, labels)
    # It would hold for images that are predicted independently.
    del across["accuracy_interval"]
    changed = int((mixed.argmax(-1) != alone.argmax(-1)).sum())
    scores["across_batch"] = {
      **dataclasses.asdict(batches),
      "changed_predictions": changed,
      **across,
    }
  if "logits_flip_views" in predictions:
    views = predictions["logits_flip_views"]
    scores["flip_views"] = metrics.score(views, labels)
  return scores


def _score_subset(
  subset: challenges.Subset,
  class_names: tuple[str, ...],
  predict: Callable[[examples_lib.Examples], Predictions],
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
  predictions = predict(listed)
  label_of = dict(zip(own.ids, own.labels, strict=True))
  own_labels = np.array([label_of[i] for i in predictions["ids"]], np.int32)
  return {
    **challenges.describe(subset),
    "list_labels": figures(predictions, predictions["labels"], batches),
    "data_set_labels": figures(predictions, own_labels, batches),
  }
