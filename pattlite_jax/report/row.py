"""A row of a table: what to run, what was published, what to expect.

Figures are accuracies in percent on the test split. `published` is the claim
under its own protocol; `expected` is what an honest run of the row should give.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

# Where `expected` comes from.
NEAR_NEUTRAL = (
  "a per-sample PAtt-Lite elsewhere: github.com/StevenHSKim/near-neutral-fer"
)
CHALLENGE_LISTS = "data/challenge_lists"  # Where a user puts RAN's lists.
_LISTS_SOURCE = "github.com/kaiwang960112/Challenge-condition-FER-dataset"
HOW_TO_GET_LISTS = f"get RAN's lists from {_LISTS_SOURCE} into that folder."


@dataclasses.dataclass(frozen=True)
class Scoring:
  """One `evaluate` command on a row's network."""

  name: str  # The end of its result's name.
  flags: Mapping[str, Any]


def _in_batches(order: str, size: int) -> Scoring:
  return Scoring(f"{order}_{size}", {"order": order, "batch_size": size})


# What is left of the published figure when chance orders the test images.
SHUFFLED = _in_batches("shuffled", 32)
# The orders and batch sizes at which the leak table scores each network.
LEAK_SCORINGS = (
  _in_batches("class_sorted", 32),
  _in_batches("class_sorted", 8),
  _in_batches("official", 32),
  SHUFFLED,
  _in_batches("shuffled", 8),
)
# Those at which the bench scores the methods that mix their batch.
BATCH_SCORINGS = tuple(
  _in_batches(order, size)
  for order in ("class_sorted", "official", "shuffled")
  for size in (8, 64, 256)
)
CHALLENGES = Scoring(
  "challenges",
  {
    "order": "class_sorted",
    "batch_size": 32,
    "challenge_lists": CHALLENGE_LISTS,
  },
)


@dataclasses.dataclass(frozen=True)
class Row:
  """One row of a table, run once for each seed."""

  name: str  # Begins its files in results/ and its folders in runs/.
  label: str  # For a reader; rows of the same label are one in the report.
  config: str
  overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  change: str = ""  # For a reader: how it differs from the recipe.
  seeds: tuple[int, ...] = (0, 1, 2)
  published: float | None = None  # %, None where no figure is known.
  source: str = ""  # Who says `published`.
  expected: float | None = None  # %, one image at a time.
  expected_source: str = ""
  scorings: tuple[Scoring, ...] = ()  # Beside the training's own result.
  published_subsets: Mapping[str, float] = dataclasses.field(
    default_factory=dict
  )  # % on RAN's subsets, from the same source.
  audited: bool = False  # Whether `audit` is to judge it, too.
  trained_in: str = ""  # The table whose runs it scores; empty: its own.
  compared_with: str = ""  # The row of its table that it is a change of.
  ships_as: str = ""  # The network of the package that one of its seeds is.
  shipped_seed: int = 0  # That of the median accuracy on the validation split.
