"""The bench of methods: a table for each data set, and a picture's numbers."""

import dataclasses
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from pattlite_jax.report.lines import Line, percents, summarise
from pattlite_jax.report.row import BATCH_SCORINGS
from pattlite_jax.report.rows_methods import BASELINE, CLEAN, STEP_TIMES
from pattlite_jax.report.write import table

_IN_README = 5  # Rows.
_SPLIT = "validation"  # PublicTest; the last epoch is kept, so nothing chose.


def step_times(folder: epath.Path) -> Mapping[str, Any]:
  """Returns parameters and milliseconds by row; empty before they are there."""
  file = folder / f"{STEP_TIMES}.json"
  return json.loads(file.read_text())["steps"] if file.exists() else {}


def text(lines: Sequence[Line], steps: Mapping[str, Any]) -> list[str]:
  """Returns the tables of all data sets that have results, with their names."""
  found: list[str] = []
  for data in dict.fromkeys(line.rows[0].change for line in lines):
    own = [line for line in lines if line.rows[0].change == data]
    shown = _of_data(own, lines, steps if data == CLEAN else {})
    if shown:
      found += [f"### {data}", "", *shown, "", *_standing(own, lines)]
  mixing = _batches(lines)
  if mixing:
    found += ["### By order of the images, and images in a batch", "", *mixing]
  return found


def first(lines: Sequence[Line]) -> list[str]:
  """Returns the first methods that have results on FER2013, for the README."""
  own = [
    line for line in lines if line.rows[0].change == CLEAN and line.has_results
  ]
  return table(
    "method",
    own[:_IN_README],
    {
      "accuracy": lambda line: summarise(_values(line), 1, " %"),
      "macro F1": lambda line: summarise(_values(line, "macro_f1"), 1),
      "against the baseline": _difference(lines),
      "audit": verdict,
    },
  )


def by_method(lines: Sequence[Line]) -> dict[str, list[str]]:
  """Returns {config.method: its table of all data sets} of what was run."""
  baselines = {line.rows[0].name: line for line in lines}
  found: dict[str, list[Line]] = {}
  for line in lines:
    if line.has_results:
      method = line.rows[0].overrides.get("method", BASELINE)
      found.setdefault(method, []).append(line)
  return {
    method: table(
      "on the bench",
      [
        dataclasses.replace(line, label=f"{line.label}: {line.rows[0].change}")
        for line in own
      ],
      {
        "accuracy %": lambda line: summarise(_values(line)),
        "the baseline's": lambda line: summarise(
          _values(baselines[line.rows[0].compared_with])
        ),
        "audit": verdict,
      },
    )
    for method, own in found.items()
  }


def accuracies(lines: Sequence[Line]) -> dict[str, tuple[float, float]]:
  """Returns {method: (accuracy on FER2013, its error bar)}, in percent.

  The bar is the standard deviation over seeds, or one standard error of a
  single run.
  """
  return {
    line.label: (
      statistics.fmean(values),
      statistics.stdev(values) if len(values) > 1 else _standard_error(line),
    )
    for line in lines
    if line.rows[0].change == CLEAN and (values := _values(line))
  }


def _of_data(
  own: Sequence[Line], lines: Sequence[Line], steps: Mapping[str, Any]
) -> list[str]:
  columns = {
    "accuracy": lambda line: summarise(_values(line)),
    "macro F1": lambda line: summarise(_values(line, "macro_f1")),
    "against the baseline": _difference(lines),
    "across the batch, as published": lambda line: summarise(
      percents(line.runs, _SPLIT, "across_batch")
    ),
    "audit": verdict,
    "runs": Line.count,
    "hours a run": Line.mean_hours,
  }
  if steps:
    columns |= {
      "parameters": lambda line: _of_step(line, steps, "parameters"),
      "step / baseline's": lambda line: _of_step(line, steps, "ms"),
    }
  return table("method", own, columns)


def _batches(lines: Sequence[Line]) -> list[str]:
  """Returns what order and batch size make of methods that mix their batch."""

  def column(scoring):
    def show(line):
      results = line.scored.get(scoring.name, ())
      splits = [scores for r in results for scores in r["splits"].values()]
      return summarise([100 * s["across_batch"]["accuracy"] for s in splits])

    return show

  mixing = [line for line in lines if line.scored]
  columns = {
    f"{s.flags['order'].replace('_', '-')}, {s.flags['batch_size']}": column(s)
    for s in BATCH_SCORINGS
  }
  return table("method", mixing, columns)


def _of_step(line: Line, steps: Mapping[str, Any], figure: str) -> str:
  own = steps.get(line.rows[0].name)
  if own is None:
    return ""
  if figure == "parameters":
    return f"{own['parameters']:,}"
  return f"{own['ms'] / steps[BASELINE]['ms']:.2f}"


def _values(line: Line, figure: str = "accuracy") -> list[float]:
  return percents(line.runs, _SPLIT, "per_sample", figure)


def _standard_error(line: Line) -> float:
  """Returns that of one run's accuracy, in points."""
  scores = line.runs[0]["splits"][_SPLIT]["per_sample"]
  share, count = scores["accuracy"], scores["num_examples"]
  return 100 * math.sqrt(share * (1 - share) / count)


def _difference(lines: Sequence[Line]):
  """Returns what shows the points from the baseline, and if they may be chance.

  They may be below one standard error of a run's accuracy.
  """

  def show(line):
    found = _gap(line, lines)
    if found is None:
      return ""
    gap, chance = found
    return f"{gap:+.2f}{', within one standard error' if chance else ''}"

  return show


def _gap(line: Line, lines: Sequence[Line]) -> tuple[float, bool] | None:
  """Returns (points from the baseline, whether they may be chance), if any."""
  (baseline,) = (
    other for other in lines if other.rows[0].name == line.rows[0].compared_with
  )
  if line is baseline or not (line.runs and baseline.runs):
    return None
  gap = statistics.fmean(_values(line)) - statistics.fmean(_values(baseline))
  return gap, abs(gap) < _standard_error(baseline)


def _standing(own: Sequence[Line], lines: Sequence[Line]) -> list[str]:
  """Returns a paragraph that says which lines beat their baseline."""
  above, within, below = [], [], []
  for line in own:
    found = _gap(line, lines)
    if found:
      gap, chance = found
      (within if chance else above if gap > 0 else below).append(line.label)
  if not above + within + below:
    return []
  parts = (
    ("Better than the baseline by one standard error or more", above),
    ("Within one", within),
    ("Worse", below),
  )
  said = (f"{name}: {'; '.join(labels) or 'none'}" for name, labels in parts)
  return [f"{'. '.join(said)}.", ""]


def verdict(line: Line) -> str:
  """Returns what `audit` said of the line's networks."""
  passed = {a["batch_dependence"]["passed"] for a in line.audits}
  if not passed:
    return ""
  return "passed" if passed == {True} else "depends on the batch"
