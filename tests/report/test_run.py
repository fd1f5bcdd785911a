"""Running the rows of a table, with commands that are only noted down."""

import dataclasses
import json
import os
import pathlib
import runpy
import signal

import pytest
from etils import epath
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from pattlite_jax.report import run as run_table
from pattlite_jax.report.row import Row
from pattlite_jax.report.rows import TABLES
from pattlite_jax.runtime.errors import UserError

ROOT = pathlib.Path(__file__).parents[2]
FER2013 = str(ROOT / "configs/fer2013.py")
# A packed set stands in for the data set's files.
EXTRA = ["--config.data.packed=f.npz"]
ROWS = (
  Row("a", "A", FER2013, seeds=(0, 1)),
  Row("b", "B", FER2013, seeds=(0,)),
)


@pytest.fixture
def ran(monkeypatch, tmp_path):
  """Returns the commands that `run` has started in an empty folder."""
  monkeypatch.chdir(tmp_path)
  return []


def run(ran, rows=ROWS[:1], extra=EXTRA, status=0, dry_run=False, **options):
  """Runs rows whose trainings last an hour and a half."""

  def start(command):
    ran.append(command)
    workdir = next(a for a in command if a.startswith("--config.workdir="))
    folder = epath.Path(workdir.partition("=")[2])
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("{}")
    with (folder / "events.out").open("wb") as file:
      log = RecordWriter(file)
      for seconds in (1000, 1000 + 5400):
        log.write(Event(wall_time=seconds).SerializeToString())
    return status

  return run_table.run(
    "main", rows, "test", extra, dry_run=dry_run, start=start, **options
  )


def test_each_seed_is_run_once_and_its_result_kept(ran, capsys):
  assert run(ran) == 0
  assert len(ran) == 2
  assert "--config.seed=1" in ran[1]
  assert ran[0][-1] == EXTRA[0]
  assert epath.Path("results/main/a_seed1.json").exists()
  assert run(ran) == 0
  assert len(ran) == 2
  assert capsys.readouterr().out.count("done     results/main") == 2


def test_a_kept_result_says_how_long_it_took(ran):
  run(ran, seeds=[0])
  kept = json.loads(epath.Path("results/main/a_seed0.json").read_text())
  assert kept == {"hours": 1.5}
  assert epath.Path("runs/main/a_seed0/result.json").read_text() == "{}"


def test_a_failed_command_leaves_no_result_and_is_counted(ran):
  assert run(ran, rows=ROWS, status=1) == 3
  assert not epath.Path("results").exists()


def test_rows_can_be_chosen(ran):
  assert run(ran, rows=ROWS, only=["b"]) == 0
  assert len(ran) == 1
  assert "--config.workdir=runs/main/b_seed0" in ran[0]
  with pytest.raises(ValueError, match=r"--rows has 'c'.*'a', 'b'"):
    run(ran, rows=ROWS, only=["c"])


def test_seeds_can_be_chosen(ran):
  assert run(ran, seeds=[5]) == 0
  assert len(ran) == 1
  assert "--config.workdir=runs/main/a_seed5" in ran[0]
  assert "--config.seed=5" in ran[0]


@pytest.mark.parametrize(
  ("argument", "message"),
  [
    ("--config.seed=1", "the same seed.*Choose seeds with --seed=N"),
    ("-config.seed=1", "the same seed"),
    ("--config.workdir=w", "the same workdir"),
    ("--config.method=eac", "the same method"),
    ("--config.data.name=raf_db", "the same data.name"),
    ("--config.model.cut=conv_pw_1_relu", "the same model.cut"),
    ("--noconfig.augment.random_flip", "takes --config.FIELD=VALUE"),
    ("--config.seed", "takes --config.FIELD=VALUE"),
    ("--config=other.py", "takes --config.FIELD=VALUE"),
    ("1", "takes --config.FIELD=VALUE"),
  ],
)
def test_what_tells_rows_apart_cannot_be_overridden(ran, argument, message):
  rows = [*ROWS, Row("c", "C", FER2013, {"model.cut": "conv_pw_5_relu"})]
  with pytest.raises(UserError, match=message) as caught:
    run(ran, rows=rows, extra=[*EXTRA, argument], dry_run=True)
  assert "\n" not in str(caught.value)
  assert not ran


def test_a_packed_set_needs_no_other_files(tmp_path):
  row = ROWS[0]
  message = run_table.missing_data(row, [f"--config.data.dir={tmp_path}"])
  assert "FER2013" in message
  assert run_table.missing_data(row, EXTRA) is None


def test_a_command_that_was_asked_to_stop_ends_the_table(ran, capsys):
  with pytest.raises(SystemExit) as caught:
    run(ran, status=75)
  assert caught.value.code == 75
  assert len(ran) == 1
  assert "same command again" in capsys.readouterr().err


def test_an_interrupt_waits_for_the_command_and_ends_the_table(ran):
  def interrupted(command):
    os.kill(os.getpid(), signal.SIGINT)
    ran.append(command)  # It still ends by itself.
    return 0

  handler = signal.getsignal(signal.SIGINT)
  with pytest.raises(SystemExit) as caught:
    run_table.run("main", ROWS, "test", EXTRA, dry_run=False, start=interrupted)
  assert caught.value.code == 75
  assert len(ran) == 1
  assert signal.getsignal(signal.SIGINT) is handler


def test_a_dry_run_only_prints(ran, capsys):
  assert run(ran, dry_run=True) == 0
  assert not ran
  assert "--config.workdir=runs/main/a_seed0" in capsys.readouterr().out


def test_missing_data_skips_the_row_and_says_what_to_get(ran, tmp_path, capsys):
  assert run(ran, extra=[f"--config.data.dir={tmp_path}"]) == 0
  assert not ran
  out = capsys.readouterr().out
  assert "skipped  A: " in out and str(tmp_path) in out


def test_missing_data_is_looked_for_where_the_overrides_say(tmp_path):
  row = Row("f", "F", str(ROOT / "configs/ferplus.py"))
  message = run_table.missing_data(row, [f"--config.data.dir={tmp_path}"])
  assert str(tmp_path) in message
  assert "FERPlus" in message


def test_every_row_overrides_fields_that_exist():
  for rows in TABLES.values():
    for row in rows:
      config = runpy.run_path(str(ROOT / row.config))["get_config"]()
      with config.unlocked():
        config.update_from_flattened_dict(row.overrides)
      assert len({row.name for row in rows}) == len(rows)


def test_the_leak_table_scores_each_order_and_batch_size():
  (row, *_) = TABLES["leak"]
  train, *scorings = run_table.commands("leak", row, 0, "validation", [])
  assert "--config.model.attention=batch" in train[0]
  flags = [set(command) for command, _ in scorings]
  assert len(flags) == 5
  assert {"--order=class_sorted", "--batch_size=32"} <= flags[0]
  assert all("--split=validation" in f for f in flags)
  targets = {target for _, target in scorings}
  assert len(targets) == 5


def test_challenges_score_the_runs_of_the_main_table():
  (row, *_) = TABLES["challenges"]
  train, (scoring, target) = run_table.commands(
    "challenges", row, 1, "test", []
  )
  (main_row,) = [r for r in TABLES["main"] if r.name == row.name]
  main_train, (shuffled, _) = run_table.commands(
    "main", main_row, 1, "test", []
  )
  assert train == main_train
  assert {"--order=shuffled", "--batch_size=32"} <= set(shuffled)
  assert "--challenge_lists=data/challenge_lists" in scoring
  assert target.name == "ferplus_majority_seed1_challenges.json"


def test_missing_lists_say_where_to_get_them(monkeypatch, tmp_path):
  (row, *_) = TABLES["challenges"]
  row = dataclasses.replace(row, config=str(ROOT / row.config))
  monkeypatch.chdir(tmp_path)
  message = run_table.missing_data(row, EXTRA)
  assert "Challenge-condition-FER-dataset" in message
  (tmp_path / run_table.CHALLENGE_LISTS).mkdir(parents=True)
  assert run_table.missing_data(row, EXTRA) is None


def test_a_row_says_what_was_published_and_what_to_expect():
  rows = {row.name: row for row in TABLES["main"]}
  text = run_table.describe(rows["raf_db"])
  for part in ("RAF-DB", "95.05", "2306.09626", "84.09", "near-neutral-fer"):
    assert part in text
