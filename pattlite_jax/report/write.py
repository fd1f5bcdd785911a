"""The tables of the studies, as lines of Markdown."""

import dataclasses
import os
import statistics
from collections.abc import Callable, Mapping, Sequence

from etils import epath

from pattlite_jax.report.lines import Line, percents, summarise
from pattlite_jax.report.row import LEAK_SCORINGS, Scoring
from pattlite_jax.runtime import json_file
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring import text
from pattlite_jax.scoring.text import markdown_table
from pattlite_jax.weights import model_folder

_DATA_SETS = {"fer2013": "FER2013", "ferplus": "FER+"}  # As their authors do.
_ALONE = "one at a time"
_NO_MORE: Mapping[str, str] = {}
_OF_HEADS = {"macro F1": "macro_f1", "calibration error": "ece"}

# What a table shows of a line, by the header of its column.
Columns = Mapping[str, Callable[[Line], str]]


def table(name: str, lines: Sequence[Line], columns: Columns) -> list[str]:
  """Returns a table of the lines that have results; nothing if none has.

  `name` is the header of the labels. The other lines are named below it.
  """
  rows = [
    [line.label, *(show(line) for show in columns.values())]
    for line in lines
    if line.has_results
  ]
  if not rows:
    return []
  text = markdown_table([name, *columns], rows)
  missing = [line.label for line in lines if not line.has_results]
  if missing:
    text += ["", f"Not run yet: {'; '.join(missing)}."]
  return text


def networks(lines: Sequence[Line]) -> list[str]:
  """Returns the networks of the package: how good are they?"""

  def validation(figure, unit=""):
    return lambda line: summarise(
      percents(line.runs, "validation", "per_sample", figure), 1, unit
    )

  return table(
    "network",
    [
      dataclasses.replace(line, label=f'`load("{line.rows[0].ships_as}")`')
      for line in lines
      if line.rows[0].ships_as
    ],
    {
      "trained on": _trained_on,
      "validation accuracy": validation("accuracy", " %"),
      "macro F1": validation("macro_f1"),
      "seeds": lambda line: str(len(line.runs)),
      "size": _size,
    },
  )


def _trained_on(line: Line) -> str:
  run = line.runs[0]
  name = _DATA_SETS.get(run["dataset"], run["dataset"])
  return f"{name} ({run['rule']})" if run["rule"] else name


def _size(line: Line) -> str:
  folder = model_folder.find(line.rows[0].ships_as)
  assert folder  # The package ships it.
  return f"{os.path.getsize(folder / model_folder.WEIGHTS) / 1e6:.1f} MB"


def protocol(lines: Sequence[Line]) -> list[str]:
  """Returns what the published protocol adds: can its figure be trusted?"""
  return table(
    "images",
    [
      dataclasses.replace(line, label=f"{line.label}, {line.split}")
      for line in lines
    ],
    {
      "sorted batches, as published": lambda line: summarise(
        line.values("across_batch"), 1, " %"
      ),
      "shuffled batches": lambda line: summarise(line.shuffled(), 1, " %"),
      _ALONE: lambda line: summarise(line.values(), 1, " %"),
    },
  )


def best(lines: Sequence[Line]) -> list[str]:
  """Returns the recipes for the best accuracy of single images."""
  return table(
    "network",
    lines,
    {
      "training": lambda line: line.rows[0].change,
      "split": lambda line: line.split,
      "accuracy": lambda line: summarise(line.values()),
      "macro F1": lambda line: summarise(line.values(figure="macro_f1")),
      "runs": Line.count,
      "hours a run": Line.mean_hours,
    },
  )


def ingredients(
  lines: Sequence[Line], more: Mapping[str, str] = _NO_MORE
) -> list[str]:
  """Returns a recipe with one ingredient changed, and what that changes.

  Always on the validation split, which chooses the recipe. `more` are figures
  of `metrics.score`, shares, to show besides, by the headers of their columns.
  """
  found = {
    line.rows[0].name: percents(line.runs, "validation", "per_sample")
    for line in lines
  }

  def difference(line):
    others = found.get(line.rows[0].compared_with)
    if not others:
      return ""
    mine = found[line.rows[0].name]
    return f"{statistics.fmean(mine) - statistics.fmean(others):+.2f}"

  def share(figure):
    return lambda line: summarise(
      percents(line.runs, "validation", "per_sample", figure)
    )

  return table(
    "recipe",
    lines,
    {
      "validation accuracy": lambda line: summarise(found[line.rows[0].name]),
      "difference": difference,
      **{name: share(figure) for name, figure in more.items()},
      "runs": Line.count,
      "hours a run": Line.mean_hours,
    },
  )


def heads(lines: Sequence[Line]) -> list[str]:
  """Returns the heads on each data set, as `ingredients` shows them."""
  found: list[str] = []
  for data in dict.fromkeys(line.rows[0].change for line in lines):
    own = [line for line in lines if line.rows[0].change == data]
    shown = ingredients(own, _OF_HEADS)
    if shown:
      found += [f"### {data}", "", *shown, ""]
  return found


def as_published(lines: Sequence[Line]) -> list[str]:
  """Returns the published network: claim, its protocol, and single images."""
  return table(
    "data set",
    lines,
    {
      "published": _published,
      "split": lambda line: line.split,
      "as published, reproduced": lambda line: summarise(
        line.values("across_batch")
      ),
      "shuffled": lambda line: summarise(line.shuffled()),
      _ALONE: lambda line: summarise(line.values()),
      "runs": Line.count,
    },
  )


def _published(line: Line) -> str:
  published = line.rows[0].published
  return "" if published is None else f"{published:.2f}"


def challenges(lines: Sequence[Line]) -> list[str]:
  """Returns RAN's subsets, scored by the labels of the lists."""
  return table(
    "subset",
    lines,
    {
      "published": _published,
      "as published, reproduced": lambda line: summarise(
        line.values("across_batch")
      ),
      _ALONE: lambda line: summarise(line.values()),
    },
  )


def ablations(lines: Sequence[Line]) -> list[str]:
  """Returns variants of the network, one image at a time."""
  return table(
    "network",
    lines,
    {
      "split": lambda line: line.split,
      _ALONE: lambda line: summarise(line.values()),
      "runs": Line.count,
    },
  )


def single_runs(lines: Sequence[Line]) -> list[str]:
  """Returns runs that belong to no table."""
  return table(
    "run",
    lines,
    {
      "network": lambda line: text.network(line.runs[0]),
      "split": lambda line: line.split,
      _ALONE: lambda line: summarise(line.values()),
      "epochs (stage 1 + 2)": lambda line: " + ".join(
        map(str, line.runs[0].get("epochs", {}).values())
      ),
    },
  )


def leak(lines: Sequence[Line]) -> list[str]:
  """Returns order and batch size by attention mode."""
  scores = leak_scores(lines)

  def column(name):
    def show(line):
      accuracy = scores.get(line.label, {}).get(name)
      return "" if accuracy is None else f"{accuracy:.2f}"

    return show

  names = [*map(_name, LEAK_SCORINGS), _ALONE]
  columns = {name: column(name) for name in names}
  return table("network", lines, {"split": lambda x: x.split} | columns)


def leak_scores(lines: Sequence[Line]) -> dict[str, dict[str, float]]:
  """Returns {label: {protocol: accuracy in percent}} of lines with results.

  A network that mixes no batch has the accuracy of single images throughout.
  """
  scores = {}
  for line in lines:
    own = {}
    for scoring in LEAK_SCORINGS:
      results = line.scored.get(scoring.name, ())
      alone = percents(results, line.split, "per_sample")
      mixed = percents(results, line.split, "across_batch") or alone
      if alone:
        own[_name(scoring)] = statistics.fmean(mixed)
        own[_ALONE] = statistics.fmean(alone)
    if own:
      own[_ALONE] = own.pop(_ALONE)  # Last, as in the table.
      scores[line.label] = own
  return scores


def _name(scoring: Scoring) -> str:
  order = scoring.flags["order"].replace("_", "-")
  return f"{order}, {scoring.flags['batch_size']}"


def speeds_of_cpus(results: epath.Path) -> list[str]:
  """Returns results/bench_cpu_<kind>.json of each kind, and its picture."""
  blocks = []
  for file in sorted(results.glob("bench_cpu_*.json")):
    kind = file.stem.removeprefix("bench_cpu_")
    picture = f"![Time against batch size](../results/{file.stem}.png)"
    blocks += ["", f"### A CPU with {kind}", ""]
    blocks += [*speed(results, f"cpu_{kind}"), "", picture]
  return blocks


def speed(results: epath.Path, device: str) -> list[str]:
  """Returns the benchmark of results/bench_<device>.json, if there is one."""
  file = results / f"bench_{device}.json"
  if not file.exists():
    return []
  from pattlite_jax.benchmark import page

  result = json_file.read(file)
  try:
    return page.text(result)
  except (AttributeError, LookupError, TypeError, ValueError) as error:
    raise UserError(f"{file} is no benchmark's result: {error!r}") from error
