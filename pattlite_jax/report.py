"""Writes the README's tables from results/, and a picture of the leak.

python -m pattlite_jax.report [--results results] [--readme README.md]

Tables stand between `<!-- NAME -->` and `<!-- end -->` in the README. A row
without results says so; figures are mean ± standard deviation over seeds.
"""

import itertools
import json
import re
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from absl import app, flags
from etils import epath

from pattlite_jax.tables import LEAK_SCORINGS, TABLES, Row, Scoring

_RESULTS = flags.DEFINE_string("results", "results", "Folder of the results.")
_README = flags.DEFINE_string("readme", "README.md", "File to write into.")
_NOT_RUN = "not run"
_ALONE = "one at a time"

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
    return _NOT_RUN
  mean = f"{statistics.fmean(values):.2f}"
  if len(values) == 1:
    return mean
  return f"{mean} ± {statistics.stdev(values):.2f}"


def main_table(results: epath.Path, table: str) -> list[str]:
  """Returns the lines of a table of rows and seeds."""
  lines = [
    "| data set | published | split | as published, reproduced | per sample "
    "| runs |",
    "|---|---|---|---|---|---|",
  ]
  by_label = itertools.groupby(TABLES[table], lambda row: row.label)
  for label, rows in by_label:
    rows = list(rows)
    runs = [run for row in rows for run in _runs(results / table, row)]
    published = rows[0].published
    published = "" if published is None else f"{published:.2f}"
    split = _split(runs)
    planned = sum(len(row.seeds) for row in rows)
    cells = [
      summarise(_values(runs, figure, split))
      for figure in (as_published, per_sample)
    ]
    lines.append(
      f"| {label} | {published} | {split if runs else ''} | "
      f"{cells[0]} | {cells[1]} | {len(runs)} of {planned} |"
    )
  return lines


def _runs(folder: epath.Path, row: Row) -> list[Result]:
  found = (read(folder / f"{row.name}_seed{seed}.json") for seed in row.seeds)
  return [result for result in found if result]


def _split(runs: Sequence[Result]) -> str:
  has_test = any("test" in run["splits"] for run in runs)
  return "test" if has_test else "validation"


def _values(
  runs: Sequence[Result], figure: Callable[..., float | None], split: str
) -> list[float]:
  values = (figure(run, split) for run in runs)
  return [value for value in values if value is not None]


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


def challenge_table(results: epath.Path) -> list[str]:
  """Returns the lines of RAN's subsets, scored by the labels of the lists."""
  lines = [
    "| data set | subset | published | as published, reproduced | per sample |",
    "|---|---|---|---|---|",
  ]
  for row in TABLES["challenges"]:
    folder = results / "challenges"
    found = (
      read(folder / f"{row.name}_seed{seed}_challenges.json")
      for seed in row.seeds
    )
    runs = [result["challenges"] for result in found if result]
    for subset, published in row.published_subsets.items():
      scores = [run[subset]["list_labels"] for run in runs if subset in run]
      cells = [
        summarise([100 * s[kind]["accuracy"] for s in scores if kind in s])
        for kind in ("across_batch", "per_sample")
      ]
      lines.append(
        f"| {row.label} | {subset.replace('_', ' > ')} | {published:.2f} | "
        f"{cells[0]} | {cells[1]} |"
      )
  return lines


def leak_scores(results: epath.Path) -> dict[str, dict[str, float]]:
  """Returns {row: {protocol: accuracy in percent}} of the leak table."""
  scores = {}
  for row in TABLES["leak"]:
    own = {}
    for scoring in LEAK_SCORINGS:
      name = f"{row.name}_seed{row.seeds[0]}_{scoring.name}.json"
      result = read(results / "leak" / name)
      if result:
        mixed = result.get("across_batch", result["per_sample"])
        own[_protocol(scoring)] = 100 * mixed["accuracy"]
        own[_ALONE] = 100 * result["per_sample"]["accuracy"]
    if own:
      own[_ALONE] = own.pop(_ALONE)  # Last, as in the table.
      scores[row.label] = own
  return scores


def _protocol(scoring: Scoring) -> str:
  order = scoring.flags["order"].replace("_", "-")
  return f"{order}, {scoring.flags['batch_size']}"


def leak_table(results: epath.Path) -> list[str]:
  """Returns the lines of the leak table: order and batch size by mode."""
  columns = [*map(_protocol, LEAK_SCORINGS), _ALONE]
  lines = [
    f"| network | {' | '.join(columns)} |",
    "|---" * (len(columns) + 1) + "|",
  ]
  for label, own in leak_scores(results).items():
    cells = [f"{own[c]:.2f}" if c in own else _NOT_RUN for c in columns]
    lines.append(f"| {label} | {' | '.join(cells)} |")
  found = (results / "leak").glob("*_*_*.json")
  splits = {json.loads(path.read_text()).get("split") for path in found}
  names = ", ".join(sorted(splits - {None}))
  return [*lines, "", f"Scored split: {names or _NOT_RUN}."]


def speed_table(results: epath.Path, device: str) -> list[str]:
  """Returns the benchmark of results/bench_<device>.json."""
  file = results / f"bench_{device}.json"
  if not file.exists():
    return ["Not run yet."]
  from pattlite_jax.benchmarks import page

  return page.text(json.loads(file.read_text()))


def insert(text: str, name: str, lines: Sequence[str]) -> str:
  """Returns the text with the lines between the marks of a table.

  Raises:
    ValueError: if the text lacks the marks.
  """
  pattern = rf"<!-- {name} -->\n.*?<!-- end -->"
  body = "\n".join(lines)
  new, count = re.subn(
    pattern,
    lambda _: f"<!-- {name} -->\n{body}\n<!-- end -->",
    text,
    flags=re.DOTALL,
  )
  if count != 1:
    raise ValueError(
      f"Found {count} places for the table {name!r}; expected one line "
      f"'<!-- {name} -->' and below it '<!-- end -->'."
    )
  return new


def main(argv: list[str]) -> None:
  """Writes every table into --readme, and the leak's picture."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  from pattlite_jax import pictures

  results = epath.Path(_RESULTS.value)
  readme = epath.Path(_README.value)
  text = readme.read_text()
  for name, lines in (
    ("main", main_table(results, "main")),
    ("ablations", main_table(results, "ablations")),
    ("challenges", challenge_table(results)),
    ("leak", leak_table(results)),
    ("runs", single_runs(results)),
    ("speed_cpu", speed_table(results, "cpu")),
    ("speed_gpu", speed_table(results, "gpu")),
  ):
    text = insert(text, name, lines)
  readme.write_text(text)
  scores = leak_scores(results)
  if scores:
    pictures.save(pictures.leak(scores), results / "leak.png")
  print(f"Wrote the tables of {readme}.")


if __name__ == "__main__":
  app.run(main)
