"""Keras' ReduceLROnPlateau and EarlyStopping (mode "max") as pure functions.

Their records are small, and a checkpoint stores them as JSON.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Plateau:
  """State of ReduceLROnPlateau."""

  best: float | None = None
  wait: int = 0
  factor: float = 1.0  # What the learning rate has been multiplied with.


def reduce_on_plateau(
  plateau: Plateau,
  value: float,
  *,
  base: float,
  patience: int,
  factor: float,
  min_delta: float,
  min_learning_rate: float,
) -> Plateau:
  """Returns the state after an epoch that scored `value`.

  `base` is the learning rate before any reduction.
  """
  if plateau.best is None or value - min_delta > plateau.best:
    return Plateau(best=value, factor=plateau.factor)
  wait = plateau.wait + 1
  learning_rate = float(np.float32(base * plateau.factor))  # Keras holds f32.
  if wait < patience or learning_rate <= np.float32(min_learning_rate):
    return dataclasses.replace(plateau, wait=wait)
  reduced = max(learning_rate * factor, min_learning_rate)
  return Plateau(plateau.best, factor=reduced / base)


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
  """State of EarlyStopping; `best_epoch` is the one to restore."""

  best: float | None = None
  best_epoch: int = -1
  wait: int = 0
  stopped: bool = False


def monitored(record: Mapping[str, Any], monitor: str, epoch: int) -> float:
  """Returns what `early_stopping` compares: a figure of an epoch's record.

  For "last_epoch" the epoch's number, of which the last is the best.
  """
  return float(epoch) if monitor == "last_epoch" else record[monitor]


def early_stopping(
  state: EarlyStopping,
  epoch: int,
  value: float,
  *,
  patience: int,
  min_delta: float,
) -> EarlyStopping:
  """Returns the state after `epoch` scored `value`; patience 0 never stops."""
  if state.best is None or value - min_delta > state.best:
    return EarlyStopping(best=value, best_epoch=epoch)
  wait = state.wait + 1
  stopped = 0 < patience <= wait and epoch > 0
  return dataclasses.replace(state, wait=wait, stopped=stopped)
