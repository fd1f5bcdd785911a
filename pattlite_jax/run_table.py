"""Runs the rows of a table; a finished row is not run again.

python -m pattlite_jax.run_table --table main [--dry_run] [--leak_split test] \
  [-- --config.<field>=<value> ...]

Trains each row and seed in runs/<table>/, copies its result to
results/<table>/, and skips rows whose data is missing, saying what to get.
Arguments after -- go to every training command.
"""

import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator

from absl import app, flags
from etils import epath

from pattlite_jax.tables import LEAK_SCORES, TABLES, Row

_TABLE = flags.DEFINE_enum("table", "main", list(TABLES), "The table to run.")
_SPLIT = flags.DEFINE_string(
  "leak_split", "test", "The split that the leak table scores."
)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print the commands only.")


def commands(
  table: str, row: Row, seed: int, split: str, extra: list[str]
) -> Iterator[tuple[list[str], epath.Path]]:
  """Yields the commands of a row and the result that each leaves."""
  name = f"{row.name}_seed{seed}"
  workdir = f"runs/{table}/{name}"
  overrides = {"seed": seed, "workdir": workdir, **row.overrides}
  yield (
    [
      "python",
      "-m",
      "pattlite_jax.main",
      f"--config={row.config}",
      *(f"--config.{field}={value}" for field, value in overrides.items()),
      *extra,
    ],
    epath.Path(f"results/{table}/{name}.json"),
  )
  if table != "leak":
    return
  for order, batch_size in LEAK_SCORES:
    path = f"results/{table}/{name}_{order}_{batch_size}.json"
    yield (
      [
        "python",
        "-m",
        "pattlite_jax.evaluate",
        f"--checkpoint={workdir}",
        f"--split={split}",
        f"--order={order}",
        f"--batch_size={batch_size}",
        f"--json={path}",
      ],
      epath.Path(path),
    )


def missing_data(row: Row, extra: list[str]) -> str | None:
  """Returns what to get if the row's data set is not there, else None."""
  from pattlite_jax.data import load

  fields = {"data.name": "", "data.dir": ""} | _data_fields(row.config)
  fields |= row.overrides
  for argument in extra:
    field, _, value = argument.removeprefix("--config.").partition("=")
    fields[field] = value
  try:
    load.require_files(fields["data.name"], fields["data.dir"])
  except FileNotFoundError as error:
    return str(error)
  return None


def _data_fields(config_path: str) -> dict[str, str]:
  config = runpy.run_path(config_path)["get_config"]()
  return {"data.name": config.data.name, "data.dir": config.data.dir}


def run(table: str, split: str, extra: list[str], *, dry_run: bool) -> int:
  """Runs the table's rows; returns the number of commands that failed."""
  failures = 0
  for row in TABLES[table]:
    missing = None if dry_run else missing_data(row, extra)
    if missing:
      print(f"skipped  {row.label}: {missing}")
      continue
    for seed in row.seeds:
      for command, target in commands(table, row, seed, split, extra):
        if dry_run:
          print(shlex.join(command))
        elif target.exists():
          print(f"done     {target}")
        elif not _run(command, target):
          failures += 1
          break  # The row's later commands need this one.
  return failures


def _run(command: list[str], target: epath.Path) -> bool:
  print(f"running  {shlex.join(command)}", flush=True)
  if subprocess.run([sys.executable, *command[1:]], check=False).returncode:
    print(f"failed   {target} was not written; see the messages above")
    return False
  if not target.exists():  # A training command writes to its workdir.
    workdir = next(
      a.partition("=")[2] for a in command if a.startswith("--config.workdir=")
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text((epath.Path(workdir) / "result.json").read_text())
  return True


def main(argv: list[str]) -> None:
  """Runs --table, passing the arguments after -- on."""
  failures = run(_TABLE.value, _SPLIT.value, argv[1:], dry_run=_DRY_RUN.value)
  if failures:
    raise SystemExit(f"{failures} commands failed; the others are done.")


if __name__ == "__main__":
  app.run(main)
