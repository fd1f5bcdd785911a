"""Writes the README's tables from results/, and a picture of the leak.

python -m pattlite_jax.report [--results results] [--readme README.md]

Tables stand between `<!-- NAME -->` and `<!-- end -->` in the README. Rows
without results are named below it; figures are mean ± standard deviation over
seeds.
"""

import json
import re
from collections.abc import Sequence

from absl import app, flags
from etils import epath

from pattlite_jax.report import runs
from pattlite_jax.report.rows import LEAK_SCORINGS, TABLES, Scoring
from pattlite_jax.runtime.errors import UserError

_ALONE = "one at a time"


def challenge_table(results: epath.Path) -> list[str]:
  """Returns the lines of RAN's subsets, scored by the labels of the lists."""
  rows = {}
  for row in TABLES["challenges"]:
    folder = results / "challenges"
    found = (
      runs.read(folder / f"{row.name}_seed{seed}_challenges.json")
      for seed in row.seeds
    )
    runs = [result["challenges"] for result in found if result]
    for subset, published in row.published_subsets.items():
      scores = [run[subset]["list_labels"] for run in runs if subset in run]
      cells = [
        runs.summarise([100 * s[kind]["accuracy"] for s in scores if kind in s])
        for kind in ("across_batch", "per_sample")
      ]
      name = f"{row.label}, {subset.replace('_', ' > ')}"
      rows[name] = [f"{published:.2f}", *cells] if scores else None
  return runs.table(
    ["subset", "published", "as published, reproduced", "per sample"], rows
  )


def leak_scores(results: epath.Path) -> dict[str, dict[str, float]]:
  """Returns {row: {protocol: accuracy in percent}} of the leak table."""
  scores = {}
  for row in TABLES["leak"]:
    own = {}
    for scoring in LEAK_SCORINGS:
      name = f"{row.name}_seed{row.seeds[0]}_{scoring.name}.json"
      result = runs.read(results / "leak" / name)
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
    cells = [f"{own[c]:.2f}" if c in own else runs.NOT_RUN for c in columns]
    lines.append(f"| {label} | {' | '.join(cells)} |")
  found = (results / "leak").glob("*_*_*.json")
  splits = {json.loads(path.read_text()).get("split") for path in found}
  names = ", ".join(sorted(splits - {None}))
  return [*lines, "", f"Scored split: {names or runs.NOT_RUN}."]


def speed_table(results: epath.Path, device: str) -> list[str]:
  """Returns the benchmark of results/bench_<device>.json."""
  file = results / f"bench_{device}.json"
  if not file.exists():
    return ["Not run yet."]
  from pattlite_jax.benchmark import page

  return page.text(json.loads(file.read_text()))


def insert(text: str, name: str, lines: Sequence[str]) -> str:
  """Returns the text with the lines between the marks of a table.

  Raises:
    UserError: if the text lacks the marks.
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
    raise UserError(
      f"Found {count} places for the table {name!r}; expected one line "
      f"'<!-- {name} -->' and below it '<!-- end -->'."
    )
  return new


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  flags.DEFINE_string(
    "results", "results", "Folder of the results.", flag_values=values
  )
  flags.DEFINE_string(
    "readme", "README.md", "File to write into.", flag_values=values
  )


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Writes every table into --readme, and the leak's picture."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  from pattlite_jax.scoring import pictures

  results = epath.Path(given.results)
  readme = epath.Path(given.readme)
  text = readme.read_text()
  for name, lines in (
    ("best", runs.best_table(results)),
    ("ingredients", runs.ingredient_table(results)),
    ("main", runs.main_table(results)),
    ("ablations", runs.ablation_table(results)),
    ("challenges", challenge_table(results)),
    ("leak", leak_table(results)),
    ("runs", runs.single_runs(results)),
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
  define_flags(flags.FLAGS)
  app.run(main)
