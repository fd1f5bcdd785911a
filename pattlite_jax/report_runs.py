"""The README's tables of training runs, from the files in results/."""

import itertools
import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from etils import epath

from pattlite_jax.tables import SHUFFLED, TABLES, Row

NOT_RUN = "not run"

Result = dict[str, Any]


def read(path: epath.Path) -> Result | None:
  """Returns a result, or None if there is no such file."""
  return json.loads(path.read_text()) if path.exists() else None


def per_sample(result: Result, split: str) -> float | None:
  """Returns a run's accuracy one image at a time, in percent."""
  return _percent(result["splits"], split)


def as_published(result: Result, split: str) -> float | None:
  """Returns a run's accuracy under the published protocol, in percent."""
  protocol = result.get("published_protocol")
  return _percent(protocol["splits"], split) if protocol else None


def _percent(splits, split):
  return 100 * splits[split]["accuracy"] if split in splits else None


def summarise(values: Sequence[float]) -> str:
  """Returns "mean ± sd" in percent, or the value alone."""
  if not values:
    return NOT_RUN
  mean = f"{statistics.fmean(values):.2f}"
  if len(values) == 1:
    return mean
  return f"{mean} ± {statistics.stdev(values):.2f}"


def main_table(results: epath.Path) -> list[str]:
  """Returns the lines of the published attention's rows, over their seeds."""
  lines = [
    "| data set | published | split | as published, reproduced | shuffled "
    "| per sample | runs |",
    "|---|---|---|---|---|---|---|",
  ]
  by_label = itertools.groupby(TABLES["main"], lambda row: row.label)
  for label, rows in by_label:
    rows = list(rows)
    runs = [run for row in rows for run in _runs(results / "main", row)]
    published = rows[0].published
    published = "" if published is None else f"{published:.2f}"
    split = _split(runs)
    planned = sum(len(row.seeds) for row in rows)
    cells = [
      summarise(values)
      for values in (
        _values(runs, as_published, split),
        [s for row in rows for s in _shuffled(results / "main", row, split)],
        _values(runs, per_sample, split),
      )
    ]
    lines.append(
      f"| {label} | {published} | {split if runs else ''} | "
      f"{' | '.join(cells)} | {len(runs)} of {planned} |"
    )
  return lines


def _shuffled(folder: epath.Path, row: Row, split: str) -> list[float]:
  """Returns accuracies of shuffled batches, in percent."""
  found = _runs(folder, row, f"_{SHUFFLED.name}")
  return [
    100 * result["across_batch"]["accuracy"]
    for result in found
    if result["split"] == split
  ]


def ablation_table(results: epath.Path) -> list[str]:
  """Returns the lines of the ablations, over their seeds."""
  lines = ["| network | split | per sample | runs |", "|---|---|---|---|"]
  for row in TABLES["ablations"]:
    runs = _runs(results / "ablations", row)
    split = _split(runs)
    lines.append(
      f"| {row.label} | {split if runs else ''} | "
      f"{summarise(_values(runs, per_sample, split))} | "
      f"{len(runs)} of {len(row.seeds)} |"
    )
  return lines


def _runs(folder: epath.Path, row: Row, scoring: str = "") -> list[Result]:
  found = (
    read(folder / f"{row.name}_seed{seed}{scoring}.json") for seed in row.seeds
  )
  return [result for result in found if result]


def _split(runs: Sequence[Result]) -> str:
  has_test = any("test" in run["splits"] for run in runs)
  return "test" if has_test else "validation"


def _values(
  runs: Sequence[Result], figure: Callable[..., float | None], split: str
) -> list[float]:
  values = (figure(run, split) for run in runs)
  return [value for value in values if value is not None]


def best_table(results: epath.Path) -> list[str]:
  """Returns the lines of the recipes for the best accuracy per image."""
  lines = [
    "| data set | split | accuracy | macro F1 | runs | elsewhere, test split |",
    "|---|---|---|---|---|---|",
  ]
  for row in TABLES["best"]:
    runs = _runs(results / "best", row)
    split = _split(runs)
    scores = [run["splits"][split] for run in runs if split in run["splits"]]
    elsewhere = "" if row.expected is None else f"{row.expected:.2f}"
    cells = [
      summarise([100 * score[name] for score in scores])
      for name in ("accuracy", "macro_f1")
    ]
    lines.append(
      f"| {row.label} | {split if runs else ''} | {cells[0]} | {cells[1]} | "
      f"{len(runs)} of {len(row.seeds)} | {elsewhere} |"
    )
  return lines


def ingredient_table(results: epath.Path) -> list[str]:
  """Returns the lines of a recipe without, or with another, ingredient.

  Always of the validation split, which chooses the recipe.
  """
  lines = [
    "| recipe | validation accuracy | difference | runs |",
    "|---|---|---|---|",
  ]
  whole = None
  for row in TABLES["ingredients"]:
    runs = _runs(results / "ingredients", row)
    values = _values(runs, per_sample, "validation")
    difference = ""
    if values and whole is not None:
      difference = f"{statistics.fmean(values) - whole:+.2f}"
    if row is TABLES["ingredients"][0] and values:  # What they differ from.
      whole = statistics.fmean(values)
    lines.append(
      f"| {row.label} | {summarise(values)} | "
      f"{difference} | {len(runs)} of {len(row.seeds)} |"
    )
  return lines


def single_runs(results: epath.Path) -> list[str]:
  """Returns a line for each run that lies in the results' own folder."""
  lines = [
    "| run | attention | split | per sample | epochs (stage 1 + 2) |",
    "|---|---|---|---|---|",
  ]
  for path in sorted(results.glob("*.json")):
    result = json.loads(path.read_text())
    if "splits" not in result:  # Not a training run's.
      continue
    split = _split([result])
    epochs = "{stage1} + {stage2}".format(**result["epochs"])
    lines.append(
      f"| [{path.stem}](results/{path.name}) | {result['attention']} | {split} "
      f"| {per_sample(result, split):.2f} | {epochs} |"
    )
  return lines
