"""Which split chose the epoch whose weights a checkpoint holds?"""

from collections.abc import Sequence
from typing import Any

import ml_collections

from pattlite_jax.config import STAGES
from pattlite_jax.trained import Trained
from pattlite_jax.training import callbacks

SPLIT_OF_MONITOR = {
  "val_accuracy": "validation",
  "train_accuracy": "train",
  "last_epoch": "no",
}


def audit(network: Trained) -> dict[str, Any]:
  """Describes the choice of a run, from its config and its history.

  `chosen_by` is the split that chose in the last stage that ran, or None where
  the checkpoint has no record of training, as one ported from another program.
  """
  stages = []
  for stage in STAGES:
    records = [r for r in network.history if r["stage"] == stage]
    if records:
      stages.append(_describe(stage, network.config[stage], records))
  return {
    "chosen_by": stages[-1]["split"] if stages else None,
    "mixes_batch": network.mixes_batch,
    "stages": stages,
    # Early stopping can watch no other accuracy, and the test split is scored
    # once, after the weights are chosen.
    "test_used": False if stages else None,
  }


def _describe(
  stage: str,
  fields: ml_collections.ConfigDict,
  records: Sequence[dict[str, Any]],
) -> dict[str, Any]:
  """Repeats early stopping over a stage's epochs; counts epochs from 1."""
  monitor = fields["monitor"]
  stopping = callbacks.EarlyStopping()
  for number, record in enumerate(records):
    stopping = callbacks.early_stopping(
      stopping,
      number,
      callbacks.monitored(record, monitor, number),
      patience=fields["patience"],
      min_delta=fields["min_delta"],
    )
  return {
    "stage": stage,
    "monitor": monitor,
    "split": SPLIT_OF_MONITOR[monitor],
    "epochs": len(records),
    "chosen_epoch": stopping.best_epoch + 1,
    "step": records[stopping.best_epoch]["step"],
    "value": stopping.best,
  }
