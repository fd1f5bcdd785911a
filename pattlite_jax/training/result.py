"""The end of a run: score every split, write result.json and the pictures."""

import json
from collections.abc import Sequence
from typing import Any

import ml_collections
from absl import logging
from etils import epath

from pattlite_jax import methods
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime import parallel, provenance
from pattlite_jax.runtime.origin import Networks, networks_to_json
from pattlite_jax.scoring import logits as logits_lib
from pattlite_jax.scoring import metrics, pictures


def finish(
  config: ml_collections.ConfigDict,
  splits: dict[str, examples_lib.Examples],
  variables: dict[str, Any],
  history: Sequence[dict[str, Any]],
  *,
  config_changes: Sequence[dict[str, Any]],
  networks: Networks,
) -> dict[str, Any]:
  """Scores the chosen weights, writes to the workdir, returns the result.

  `config_changes` are those that config.resume=force has let through;
  `networks` are those that the run learned from.
  """
  scored = {name: split for name, split in splits.items() if len(split)}
  for name in splits.keys() - scored.keys():
    logging.warning("The %s split is empty and is not scored.", name)
  per_sample, logits = _score(config, scored, variables, "per_sample")
  num_classes = len(splits["train"].class_names)
  dataset, _, rule = config.data.name.partition("/")
  result = {
    "dataset": dataset,
    "rule": rule or None,
    "attention": config.model.attention,
    "protocol": "per_sample",
    "seed": config.seed,
    "splits": per_sample,
    "epochs": {
      stage: sum(record["stage"] == stage for record in history)
      for stage in ("stage1", "stage2")
    },
    "epoch_chosen_by": _monitor(config, history),
    "history": list(history),
    "config_changes": list(config_changes),
    **networks_to_json(networks),
    **provenance.environment(),
  }
  if methods.build(config, num_classes).mixes_batch:
    published, _ = _score(config, scored, variables, "published")
    result["published_protocol"] = {
      "order": config.eval.order,
      "batch_size": config.eval.batch_size,
      "splits": published,
    }
  if parallel.is_writer():
    workdir = epath.Path(config.workdir)
    pictures.draw_run(workdir / "pictures", history, scored, logits, per_sample)
    # Last, and renamed when whole: where it is, the run has ended.
    text = json.dumps(result, indent=1) + "\n"
    (workdir / "result.json.part").write_text(text)
    (workdir / "result.json.part").replace(workdir / "result.json")
  return result


def _score(config, splits, variables, protocol):
  """Returns ({split: scores}, {split: logits f32[N, K]}) under a protocol.

  per_sample: each image alone. published: class-sorted (or config.eval.order)
  batches of config.eval.batch_size.
  """
  num_classes = len(next(iter(splits.values())).class_names)
  method = methods.build(config, num_classes)
  network = method.alone if protocol == "per_sample" else method.network
  predict = logits_lib.Predictor(method, network)
  scores, logits = {}, {}
  for name, split in splits.items():
    if protocol == "published":
      split = examples_lib.reorder(split, config.eval.order, config.seed)
    logits[name] = predict(variables, split, batch_size=config.eval.batch_size)
    scores[name] = metrics.score(logits[name], split.labels)
  return scores, logits


def _monitor(config, history):
  """Returns which split's accuracy chose the weights; None if untrained."""
  return config[history[-1]["stage"]].monitor if history else None
