"""Writes what was measured, from the files in results/.

python -m pattlite_jax.report [--results results] [--readme README.md]
  [--page docs/results.md] [--many_hosts docs/many_hosts.md]
  [--methods docs/methods.md]

The page has the table of every study that has results. The README has three,
each between `<!-- NAME -->` and `<!-- end -->`: how good the package's networks
are, what the published protocol adds, and, once they have run, the methods.
The page on many hosts gets its table of how a step should scale, the page on
methods what each reached on the bench; results/leak.png and
results/methods.png are drawn as well.
"""

import re
from collections.abc import Sequence

from absl import app, flags
from etils import epath

from pattlite_jax.report import (
  consistent,
  lines,
  methods,
  page,
  scaling,
  write,
)
from pattlite_jax.report.rows import TABLES
from pattlite_jax.runtime import durable, errors, output
from pattlite_jax.runtime.errors import UserError


def insert(text: str, name: str, table: Sequence[str]) -> str:
  """Returns the text with the lines between the marks of a table.

  Raises:
    UserError: if the text lacks the marks.
  """
  pattern = rf"<!-- {name} -->\n.*?<!-- end -->"
  body = "\n".join(table)
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


def write_all(
  results: epath.Path,
  readme: epath.Path,
  results_page: epath.Path,
  many_hosts: epath.Path,
  of_methods: epath.Path,
) -> None:
  """Writes the README's tables, the pages, and the pictures.

  Raises:
    UserError: if a page lacks a table's marks; as `consistent.check`.
  """
  from pattlite_jax.scoring import pictures

  consistent.check(results, TABLES)
  text = readme.read_text()
  for name, table in page.readme_tables(results).items():
    text = insert(text, name, table)
  durable.write_text(readme, text)
  durable.write_text(results_page, page.text(results))
  step = scaling.read(results)
  if step:
    scaled = insert(many_hosts.read_text(), "scaling", scaling.table(step))
    durable.write_text(many_hosts, scaled)
  scores = write.leak_scores(lines.read(results / "leak", TABLES["leak"]))
  if scores:
    pictures.save(pictures.leak(scores), results / "leak.png")
  bench = lines.read(results / "methods", TABLES["methods"])
  if any(line.has_results for line in bench):
    text = of_methods.read_text()
    for name, table in methods.by_method(bench).items():
      text = insert(text, f"bench {name}", table)
    durable.write_text(of_methods, text)
    picture = pictures.methods(methods.accuracies(bench))
    pictures.save(picture, results / "methods.png")


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  for name, default, text in (
    ("results", "results", "Folder of the results."),
    ("readme", "README.md", "The file whose two tables are written."),
    (
      "page",
      "docs/results.md",
      "The file that gets the tables of all studies.",
    ),
    (
      "many_hosts",
      "docs/many_hosts.md",
      "The file whose table of chips is written.",
    ),
    (
      "methods",
      "docs/methods.md",
      "The file whose tables of each method are written.",
    ),
  ):
    flags.DEFINE_string(name, default, text, flag_values=values)


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Writes --readme, --page, --many_hosts, --methods and the pictures."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  with errors.in_one_line():
    write_all(
      durable.named(given.results),
      durable.named(given.readme),
      durable.named(given.page),
      durable.named(given.many_hosts),
      durable.named(given.methods),
    )
  print(f"Wrote {given.page} and the tables of {given.readme}.")


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main)
