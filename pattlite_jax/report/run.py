"""Runs the rows of a table; a finished row is not run again.

python -m pattlite_jax.report.run --table main [--rows A,B] [--seed 0] \
  [--dry_run] [--scored_split test] [-- --config.<field>=<value> ...]

Trains each row and seed in runs/<table>/, copies its result, with the hours it
took, to results/<table>/, and skips rows whose data is missing, saying what to
get. Arguments after -- go to every training command.
"""

import json
import os
import runpy
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

from absl import app, flags
from etils import epath

from pattlite_jax.report.row import CHALLENGE_LISTS, HOW_TO_GET_LISTS, Row
from pattlite_jax.report.rows import TABLES
from pattlite_jax.runtime import errors, json_file, train_time
from pattlite_jax.runtime.errors import MissingFileError, UserError


def commands(
  table: str, row: Row, seed: int, split: str, extra: list[str]
) -> Iterator[tuple[list[str], epath.Path]]:
  """Yields the commands of a row and the result that each leaves."""
  name = f"{row.name}_seed{seed}"
  trained_in = row.trained_in or table
  workdir = f"runs/{trained_in}/{name}"
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
    epath.Path(f"results/{trained_in}/{name}.json"),
  )
  for scoring in row.scorings:
    path = f"results/{table}/{name}_{scoring.name}.json"
    yield (
      [
        "python",
        "-m",
        "pattlite_jax.evaluate",
        f"--checkpoint={workdir}",
        f"--split={split}",
        *(f"--{flag}={value}" for flag, value in scoring.flags.items()),
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
    if not fields.get("data.packed"):
      load.require_files(fields["data.name"], fields["data.dir"])
  except MissingFileError as error:
    return str(error)
  uses_lists = any("challenge_lists" in s.flags for s in row.scorings)
  if uses_lists and not epath.Path(CHALLENGE_LISTS).is_dir():
    return f"No folder {CHALLENGE_LISTS}: {HOW_TO_GET_LISTS}"
  return None


def _data_fields(config_path: str) -> dict[str, str]:
  config = runpy.run_path(config_path)["get_config"]()
  return {"data.name": config.data.name, "data.dir": config.data.dir}


def describe(row: Row) -> str:
  """Returns a row's label, with what was published and what to expect."""
  claims = dict(row.published_subsets)
  if row.published is not None:
    claims["published"] = row.published
  parts = [f"{name} {value:.2f} %" for name, value in claims.items()]
  label = f"{row.label} ({row.change})" if row.change else row.label
  text = f"{label}: {', '.join(parts) or 'nothing published'}"
  if row.source:
    text += f" ({row.source})"
  if row.expected is not None:
    text += (
      f"; one image at a time, expect about {row.expected:.2f} % "
      f"({row.expected_source})"
    )
  return text


def _start(command: Sequence[str]) -> int:
  """Runs a command of the row and returns its exit status."""
  return subprocess.run([sys.executable, *command[1:]], check=False).returncode


def run(
  table: str,
  rows: Sequence[Row],
  split: str,
  extra: list[str],
  *,
  dry_run: bool,
  only: Sequence[str] = (),
  seeds: Sequence[int] = (),
  start: Callable[[Sequence[str]], int] = _start,
) -> int:
  """Runs the rows of a table, or `only` those of these names.

  `seeds` are run in place of each row's. `start` runs a command and returns its
  exit status. Returns the number of commands that failed.

  Raises:
    UserError: if there is no row of a name.
  """
  names = [row.name for row in rows]
  for name in only:
    if name not in names:
      raise UserError(f"--rows has {name!r}, but must be of {names}.")
  failures = 0
  for row in rows:
    if only and row.name not in only:
      continue
    print(f"# {describe(row)}")
    missing = None if dry_run else missing_data(row, extra)
    if missing:
      print(f"skipped  {row.label}: {missing}")
      continue
    for seed in seeds or row.seeds:
      for command, target in commands(table, row, seed, split, extra):
        if dry_run:
          print(shlex.join(command))
        elif target.exists():
          print(f"done     {target}")
        elif not _run(command, target, start):
          failures += 1
          break  # The row's later commands need this one.
  return failures


def _run(
  command: list[str],
  target: epath.Path,
  start: Callable[[Sequence[str]], int],
) -> bool:
  print(f"running  {shlex.join(command)}", flush=True)
  if _status(command, start):
    print(f"failed   {target} was not written; see the messages above")
    return False
  if not target.exists():  # A training command writes to its workdir.
    workdir = next(
      a.partition("=")[2] for a in command if a.startswith("--config.workdir=")
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_with_hours(epath.Path(workdir)))
  return True


def _with_hours(workdir: epath.Path) -> str:
  """Returns a run's result.json, with the hours that it took.

  In the workdir it has none: it is the same however often a run was stopped.
  """
  result = json_file.read(workdir / "result.json")
  result["hours"] = train_time.hours(workdir)
  return json.dumps(result, indent=1) + "\n"


def _status(command: list[str], start: Callable[[Sequence[str]], int]) -> int:
  """Returns a command's exit status; ends the table if it was asked to stop.

  Ctrl-C reaches the command too: it saves where it is, and is waited for.
  """
  interrupts = []
  before = signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))
  try:
    status = start(command)
  finally:
    signal.signal(signal.SIGINT, before)
  if interrupts or status == os.EX_TEMPFAIL:  # As main exits.
    print("Stopped. Start the same command again to go on.", file=sys.stderr)
    sys.exit(os.EX_TEMPFAIL)
  return status


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  flags.DEFINE_enum(
    "table", "main", list(TABLES), "The table to run.", flag_values=values
  )
  flags.DEFINE_string(
    "scored_split",
    "test",
    "Split to score after training.",
    flag_values=values,
  )
  flags.DEFINE_list(
    "rows", [], "Rows to run; default: all.", flag_values=values
  )
  flags.DEFINE_multi_integer(
    "seed",
    [],
    "A seed to run, as often as wanted; default: each row's.",
    flag_values=values,
  )
  flags.DEFINE_bool(
    "dry_run", False, "Print the commands only.", flag_values=values
  )


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Runs --table, passing the arguments after -- on."""
  with errors.in_one_line():
    failures = run(
      given.table,
      TABLES[given.table],
      given.scored_split,
      argv[1:],
      dry_run=given.dry_run,
      only=given.rows,
      seeds=given.seed,
    )
  if failures:
    raise SystemExit(f"{failures} commands failed; the others are done.")


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  app.run(main)
