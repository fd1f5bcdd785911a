"""What the files in results/ hold for each line of a table."""

import dataclasses
import itertools
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from etils import epath

from pattlite_jax.report import result_file
from pattlite_jax.report.row import SHUFFLED, Row
from pattlite_jax.runtime import json_file

# What a run or `evaluate` writes; `scoring.protocols` describes the form.
Result = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Line:
  """A line of a table: the rows of one label, and their results."""

  label: str
  rows: Sequence[Row] = ()
  runs: Sequence[Result] = ()  # The result of each training.
  # By the name of a `Scoring`, what `evaluate` found out.
  scored: Mapping[str, Sequence[Result]] = dataclasses.field(
    default_factory=dict
  )

  audits: Sequence[Result] = ()  # What `audit` found of each training.

  @property
  def has_results(self) -> bool:
    """Whether anything was run."""
    return bool(self.runs or self.scored)

  @property
  def split(self) -> str:
    """The split that is shown: test where a result has one."""
    results = itertools.chain(self.runs, *self.scored.values())
    has_test = any("test" in result["splits"] for result in results)
    return "test" if has_test else "validation"

  def values(
    self, protocol: str = "per_sample", figure: str = "accuracy"
  ) -> list[float]:
    """Returns a figure of each run in percent."""
    return percents(self.runs, self.split, protocol, figure)

  def shuffled(self) -> list[float]:
    """Returns the accuracies of shuffled batches in percent."""
    results = self.scored.get(SHUFFLED.name, ())
    return percents(results, self.split, "across_batch")

  def count(self) -> str:
    """Says how many runs there are, and how many there should be."""
    return f"{len(self.runs)} of {sum(len(row.seeds) for row in self.rows)}"

  def mean_hours(self) -> str:
    """Returns the hours a run; nothing of runs older than their count."""
    hours = [run["hours"] for run in self.runs if run.get("hours")]
    return f"{statistics.fmean(hours):.2g}" if hours else ""


def read(folder: epath.Path, rows: Sequence[Row]) -> list[Line]:
  """Returns a line for each label, with the results that the folder holds."""
  lines = []
  for label, group in itertools.groupby(rows, lambda row: row.label):
    of_label = tuple(group)
    scored = {
      scoring.name: _results(folder, of_label, f"_{scoring.name}")
      for scoring in of_label[0].scorings
    }
    scored = {name: results for name, results in scored.items() if results}
    runs = _results(folder, of_label)
    audits = _results(folder, of_label, "_audit", result_file.read_audit)
    lines.append(Line(label, of_label, runs, scored, audits))
  return lines


def _results(
  folder: epath.Path,
  rows: Sequence[Row],
  scoring: str = "",
  read_file: Callable[[epath.Path], Result] = result_file.read,
) -> list[Result]:
  paths = (
    folder / f"{row.name}_seed{seed}{scoring}.json"
    for row in rows
    for seed in row.seeds
  )
  return [read_file(path) for path in paths if path.exists()]


def read_subsets(folder: epath.Path, rows: Sequence[Row]) -> list[Line]:
  """Returns a line for each of RAN's subsets, by the labels of the lists.

  What `evaluate` found in a subset stands in place of the test split.
  """
  lines = []
  for row in rows:
    (scoring,) = row.scorings
    found = [
      result["splits"].get("test", {}).get("challenges", {})
      for result in _results(folder, [row], f"_{scoring.name}")
    ]
    for subset, published in row.published_subsets.items():
      runs = [
        {"splits": {"test": subsets[subset]["list_labels"]}}
        for subsets in found
        if subset in subsets
      ]
      label = f"{row.label}, {subset.replace('_', ' > ')}"
      claim = dataclasses.replace(row, published=published)
      lines.append(Line(label, [claim], runs))
  return lines


def read_single(results: epath.Path, link_to: str) -> list[Line]:
  """Returns a line for each training's result in the folder itself.

  `link_to` is the folder as the page that shows them links to it.
  """
  lines = []
  for path in sorted(results.glob("*.json")):
    if "splits" in json_file.read(path):  # Not a benchmark's.
      result = result_file.read(path)
      lines.append(Line(f"[{path.stem}]({link_to}/{path.name})", (), [result]))
  return lines


def percents(
  results: Iterable[Result], split: str, protocol: str, figure: str = "accuracy"
) -> list[float]:
  """Returns a figure of the results that have it, in percent."""
  scores = (result["splits"].get(split, {}).get(protocol) for result in results)
  return [100 * found[figure] for found in scores if found]


def summarise(values: Sequence[float], digits: int = 2, unit: str = "") -> str:
  """Returns "mean ± standard deviation", the only value, or nothing."""
  if not values:
    return ""
  text = f"{statistics.fmean(values):.{digits}f}"
  if len(values) > 1:
    text += f" ± {statistics.stdev(values):.{digits}f}"
  return text + unit
