"""The end of a run: score every split, write result.json and the pictures."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ml_collections
import numpy as np
from absl import logging
from etils import epath
from jaxtyping import Float

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime import durable, parallel, provenance
from pattlite_jax.runtime.origin import Networks, networks_to_json
from pattlite_jax.scoring import pictures, protocols
from pattlite_jax.trained import Trained


def finish(
  config: ml_collections.ConfigDict,
  splits: dict[str, examples_lib.Examples],
  variables: dict[str, Any],
  history: Sequence[dict[str, Any]],
  *,
  config_changes: Sequence[dict[str, Any]],
  networks: Networks,
  training_images: Mapping[str, Any],
  labels: Mapping[str, Any] | None = None,
  draw: Callable[..., None] = pictures.draw_run,
) -> dict[str, Any]:
  """Scores the chosen weights, writes to the workdir, returns the result.

  `scoring.protocols` describes the form of its splits.
  `config_changes` are those that config.resume=force has let through;
  `networks` are those that the run learned from, `training_images` is
  `training_set.describe`, and `labels` is `labels.describe` of a method that
  corrected some.
  """
  scored = {name: split for name, split in splits.items() if len(split)}
  for name in splits.keys() - scored.keys():
    logging.warning("The %s split is empty and is not scored.", name)
  class_names = next(iter(scored.values())).class_names
  network = Trained(variables, config, class_names)
  scores, logits = _score(network, scored)
  result = {
    **protocols.describe(network, config.data.name),
    "class_names": list(class_names),
    "classes": config.data.classes or None,
    "splits": scores,
    "epochs": {
      stage: sum(record["stage"] == stage for record in history)
      for stage in ("stage1", "stage2")
    },
    "epoch_chosen_by": _monitor(config, history),
    "history": list(history),
    "config_changes": list(config_changes),
    **networks_to_json(networks),
    "training_images": dict(training_images),
    "skipped_images": {k: len(own.skipped) for k, own in splits.items()},
    **({} if labels is None else {"labels_in_use": dict(labels)}),
    **provenance.environment(),
  }
  if parallel.is_writer():
    workdir = epath.Path(config.workdir)
    draw(workdir / "pictures", history, scored, logits, scores)
    durable.sync_tree(workdir / "pictures")
    # Last: where it is, the run has ended.
    text = json.dumps(result, indent=1) + "\n"
    durable.write_text(workdir / "result.json", text)
  return result


def _score(
  network: Trained, splits: Mapping[str, examples_lib.Examples]
) -> tuple[dict[str, Any], dict[str, Float[np.ndarray, "N K"]]]:
  """Returns ({split: figures}, {split: logits of each image alone})."""
  config = network.config
  batches = protocols.Batches(
    config.eval.order, config.eval.batch_size, config.seed
  )
  predictors = network.predictors()
  scores, logits = {}, {}
  for name, split in splits.items():
    scores[name], predictions = protocols.score(
      predictors, split, batches, split=name
    )
    logits[name] = predictions["logits"]
  return scores, logits


def _monitor(config, history):
  """Returns which split's accuracy chose the weights; None if untrained."""
  return config[history[-1]["stage"]].monitor if history else None
