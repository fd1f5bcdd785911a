"""Runs the rows of a table; a finished row is not run again.

python -m pattlite_jax.report.run --table main [--rows A,B] [--seed 0] \
  [--dry_run] [--scored_split test] [-- --config.<field>=<value> ...]

Trains each row and seed in runs/<table>/, copies its result, with the hours it
took, to results/<table>/, and skips rows whose data is missing, saying what to
get. Arguments after -- go to every training command.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

from absl import flags
from etils import epath

from pattlite_jax.config import files as config_files
from pattlite_jax.report import peers
from pattlite_jax.report.row import CHALLENGE_LISTS, HOW_TO_GET_LISTS, Row
from pattlite_jax.report.rows import TABLES
from pattlite_jax.report.rows_methods import CLEAN, CONFIG, STEP_TIMES
from pattlite_jax.runtime import durable, errors, json_file, output, train_time
from pattlite_jax.runtime.errors import MissingFileError, UserError

_AUDIT = "pattlite_jax.audit"
_STOPS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)  # Training saves.


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
  if row.audited and seed == row.seeds[0]:  # Seeds share what mixes a batch.
    path = f"results/{table}/{name}_audit.json"
    yield (
      [
        "python",
        "-m",
        _AUDIT,
        f"--checkpoint={workdir}",
        "--split=validation",
        "--nodata",
        f"--json={path}",
      ],
      epath.Path(path),
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
  config = config_files.load(config_path)
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
  """Runs a command of the row and returns its exit status.

  A signal to stop is passed on, as it may reach this process alone.
  """
  process = subprocess.Popen([sys.executable, *command[1:]])
  before = {
    number: signal.signal(number, lambda got, _: process.send_signal(got))
    for number in _STOPS
    if signal.getsignal(number) != signal.SIG_IGN  # As under nohup.
  }
  try:
    return process.wait()
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


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
    UserError: if there is no row of a name, or `extra` changes what tells the
      rows apart.
  """
  _require_other_fields(rows, extra)
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
        if not _do(command, target, start, dry_run=dry_run):
          failures += 1
          break  # The row's later commands need this one.
  return failures


def time_steps(
  rows: Sequence[Row],
  *,
  dry_run: bool,
  start: Callable[[Sequence[str]], int] = _start,
) -> bool:
  """Times a step of each method of the bench; False if that failed."""
  variants = {r.name: dict(r.overrides) for r in rows if r.change == CLEAN}
  target = epath.Path(f"results/methods/{STEP_TIMES}.json")
  command = [
    "python",
    "-m",
    "pattlite_jax.benchmark.methods",
    f"--config={CONFIG}",
    f"--variants={json.dumps(variants)}",
    f"--json={target}",
  ]
  return _do(command, target, start, dry_run=dry_run)


def compare(
  extra: Sequence[str],
  *,
  dry_run: bool,
  only: Sequence[str] = (),
  start: Callable[[Sequence[str]], int] = _start,
) -> int:
  """Scores networks beside their peers; returns how many commands failed.

  Raises:
    UserError: as `peers.commands`.
  """
  failures = 0
  for command, target in peers.commands(extra, only or tuple(peers.ROWS)):
    failures += not _do(command, target, start, dry_run=dry_run)
  return failures


def _require_other_fields(rows: Sequence[Row], extra: Sequence[str]) -> None:
  """Raises UserError for a field that makes a row another than it says."""
  own = {name for row in rows for name in row.overrides}
  own |= {"seed", "workdir", "method", "data.name"}
  for argument in extra:
    flag, equals, _ = argument.partition("=")
    field = re.sub("^--?(no)?config[.]", "", flag)
    if flag == field or not equals:
      raise UserError(
        f"A table takes --config.FIELD=VALUE, but not {argument!r}."
      )
    if field in own or any(field.startswith(f"{name}.") for name in own):
      hint = " Choose seeds with --seed=N." if field == "seed" else ""
      raise UserError(
        f"{flag} would give rows of the table the same {field}, under names "
        f"that say otherwise; leave it out.{hint}"
      )


def _do(
  command: list[str],
  target: epath.Path,
  start: Callable[[Sequence[str]], int],
  *,
  dry_run: bool,
) -> bool:
  """Runs a command whose result is not there yet; False if it failed."""
  if dry_run:
    print(shlex.join(command))
  elif target.exists():
    print(f"done     {target}")
  else:
    return _run(command, target, start)
  return True


def _run(
  command: list[str],
  target: epath.Path,
  start: Callable[[Sequence[str]], int],
) -> bool:
  print(f"running  {shlex.join(command)}", flush=True)
  status = _status(command, start)
  if status and not (_AUDIT in command and status == 1):  # A verdict.
    print(f"failed   {target} was not written; see the messages above")
    return False
  if not target.exists():  # A training command writes to its workdir.
    workdir = next(
      a.partition("=")[2] for a in command if a.startswith("--config.workdir=")
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    durable.write_text(target, _with_hours(epath.Path(workdir)))
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
  stopped = status == os.EX_TEMPFAIL or -status in _STOPS  # As main exits.
  if interrupts or stopped:
    print("Stopped. Start the same command again to go on.", file=sys.stderr)
    sys.exit(os.EX_TEMPFAIL)
  return status


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  flags.DEFINE_enum(
    "table",
    "main",
    [*TABLES, peers.NAME],
    "The table to run.",
    flag_values=values,
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
    if given.table == peers.NAME:
      failures = compare(argv[1:], dry_run=given.dry_run, only=given.rows)
    else:
      failures = run(
        given.table,
        TABLES[given.table],
        given.scored_split,
        argv[1:],
        dry_run=given.dry_run,
        only=given.rows,
        seeds=given.seed,
      )
    whole = not (given.rows or given.seed)  # Times are taken of all at once.
    if given.table == "methods" and whole:
      failures += not time_steps(TABLES["methods"], dry_run=given.dry_run)
  if failures:
    raise SystemExit(f"{failures} commands failed; the others are done.")


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main)
