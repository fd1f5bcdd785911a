"""The README's tables of training runs, from the files in results/."""

import itertools
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from etils import epath

from pattlite_jax.report.rows import SHUFFLED, TABLES, Row

NOT_RUN = "not run"
_ELSEWHERE = "elsewhere, test split"

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


def table(
  columns: Sequence[str], rows: Mapping[str, Sequence[str] | None]
) -> list[str]:
  """Returns the lines of a table whose rows have a label and cells.

  Below it are named the labels of rows without cells: those not run.
  """
  lines = [
    f"| {' | '.join(columns)} |",
    "|---" * len(columns) + "|",
    *(f"| {' | '.join((k, *row))} |" for k, row in rows.items() if row),
  ]
  missing = [label for label, row in rows.items() if not row]
  if len(missing) == len(rows):
    lines = []
  if missing:
    lines += ["", f"Not run yet: {'; '.join(missing)}."]
  return lines


def main_table(results: epath.Path) -> list[str]:
  """Returns the lines of the published attention's rows, over their seeds."""
  columns = [
    "data set",
    "published",
    "split",
    "as published, reproduced",
    "shuffled",
    "per sample",
    "runs",
  ]
  by_label = itertools.groupby(TABLES["main"], lambda row: row.label)
  return table(
    columns,
    {k: _main_cells(results / "main", list(rows)) for k, rows in by_label},
  )


def _main_cells(folder: epath.Path, rows: list[Row]) -> list[str] | None:
  runs = [run for row in rows for run in _runs(folder, row)]
  if not runs:
    return None
  split = _split(runs)
  published = rows[0].published
  shuffled = [s for row in rows for s in _shuffled(folder, row, split)]
  return [
    "" if published is None else f"{published:.2f}",
    split,
    summarise(_values(runs, as_published, split)),
    summarise(shuffled),
    summarise(_values(runs, per_sample, split)),
    f"{len(runs)} of {sum(len(row.seeds) for row in rows)}",
  ]


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

  def cells(row):
    runs = _runs(results / "ablations", row)
    if not runs:
      return None
    split = _split(runs)
    values = summarise(_values(runs, per_sample, split))
    return [split, values, f"{len(runs)} of {len(row.seeds)}"]

  return table(
    ["network", "split", "per sample", "runs"],
    {row.label: cells(row) for row in TABLES["ablations"]},
  )


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

  def cells(row):
    runs = _runs(results / "best", row)
    if not runs:
      return None
    split = _split(runs)
    scores = [run["splits"][split] for run in runs if split in run["splits"]]
    return [
      split,
      summarise([100 * score["accuracy"] for score in scores]),
      summarise([100 * score["macro_f1"] for score in scores]),
      f"{len(runs)} of {len(row.seeds)}",
      _mean_hours(runs),
      "" if row.expected is None else f"{row.expected:.2f}",
    ]

  return table(
    ["network", "split", "accuracy", "macro F1", "runs", "hours", _ELSEWHERE],
    {row.label: cells(row) for row in TABLES["best"]},
  )


def ingredient_table(results: epath.Path) -> list[str]:
  """Returns the lines of a recipe without, or with another, ingredient.

  Always of the validation split, which chooses the recipe.
  """
  rows = TABLES["ingredients"]
  runs = {row.name: _runs(results / "ingredients", row) for row in rows}
  found = {
    name: _values(runs_of_row, per_sample, "validation")
    for name, runs_of_row in runs.items()
  }

  def cells(row):
    values, others = found[row.name], found.get(row.compared_with)
    if not values:
      return None
    difference = ""
    if others:
      difference = f"{statistics.fmean(values) - statistics.fmean(others):+.2f}"
    return [
      summarise(values),
      difference,
      str(len(values)),
      _mean_hours(runs[row.name]),
    ]

  return table(
    ["recipe", "validation accuracy", "difference", "runs", "hours"],
    {f"{row.label}{_taken_out(row)}": cells(row) for row in rows},
  )


def _mean_hours(runs: Sequence[Result]) -> str:
  """Returns the hours a run; nothing of runs older than their count."""
  hours = [run["hours"] for run in runs if run.get("hours")]
  return f"{statistics.fmean(hours):.2g}" if hours else ""


def _taken_out(row: Row) -> str:
  return " (since taken out)" if row.last_revision else ""


def single_runs(results: epath.Path) -> list[str]:
  """Returns a line for each run that lies in the results' own folder."""
  rows = {}
  for path in sorted(results.glob("*.json")):
    result = json.loads(path.read_text())
    if "splits" not in result:  # Not a training run's.
      continue
    split = _split([result])
    rows[f"[{path.stem}](results/{path.name})"] = [
      result["attention"],
      split,
      f"{per_sample(result, split):.2f}",
      "{stage1} + {stage2}".format(**result["epochs"]),
    ]
  return table(
    ["run", "attention", "split", "per sample", "epochs (stage 1 + 2)"], rows
  )
