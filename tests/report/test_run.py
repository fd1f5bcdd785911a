import json
import os
import runpy
import signal

import pytest
from etils import epath

from pattlite_jax.report import run as run_table
from pattlite_jax.report.rows import TABLES, Row


@pytest.fixture
def ran(monkeypatch, tmp_path):
  """Runs in an empty folder; keeps the commands instead of running them."""
  ran = []

  def fake(command, check):
    ran.append(command)
    workdir = next(a for a in command if a.startswith("--config.workdir="))
    folder = epath.Path(workdir.partition("=")[2])
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("{}")
    return run_table.subprocess.CompletedProcess(command, 0)

  monkeypatch.setattr(run_table.subprocess, "run", fake)
  monkeypatch.setattr(run_table, "missing_data", lambda row, extra: None)
  rows = (Row("a", "A", "configs/fer2013.py", seeds=(0, 1)),)
  monkeypatch.setitem(TABLES, "main", rows)
  monkeypatch.chdir(tmp_path)
  return ran


def run(**options):
  return run_table.run(
    "main", "test", ["--config.x=1"], dry_run=False, **options
  )


def test_each_seed_is_run_once_and_its_result_kept(ran, capsys):
  assert run() == 0
  assert len(ran) == 2
  assert "--config.seed=1" in ran[1]
  assert ran[0][-1] == "--config.x=1"
  assert epath.Path("results/main/a_seed1.json").exists()
  assert run() == 0
  assert len(ran) == 2
  assert capsys.readouterr().out.count("done     results/main") == 2


def test_a_kept_result_says_how_long_it_took(ran, monkeypatch):
  monkeypatch.setattr(
    run_table.train_time,
    "hours",
    lambda workdir: {"a_seed0": 1.5}[workdir.name],
  )
  run(seeds=[0])
  kept = json.loads(epath.Path("results/main/a_seed0.json").read_text())
  assert kept == {"hours": 1.5}
  assert epath.Path("runs/main/a_seed0/result.json").read_text() == "{}"


def test_rows_can_be_chosen(ran, monkeypatch):
  rows = (*TABLES["main"], Row("b", "B", "configs/fer2013.py", seeds=(0,)))
  monkeypatch.setitem(TABLES, "main", rows)
  assert run(only=["b"]) == 0
  assert len(ran) == 1
  assert "--config.workdir=runs/main/b_seed0" in ran[0]
  with pytest.raises(ValueError, match=r"--rows has 'c'.*'a', 'b'"):
    run(only=["c"])


def test_seeds_can_be_chosen(ran):
  assert run(seeds=[5]) == 0
  assert len(ran) == 1
  assert "--config.workdir=runs/main/a_seed5" in ran[0]
  assert "--config.seed=5" in ran[0]


def test_a_packed_set_needs_no_other_files():
  row = TABLES["best"][0]
  assert "FER2013" in run_table.missing_data(row, ["--config.data.dir=none"])
  assert run_table.missing_data(row, ["--config.data.packed=f.npz"]) is None


def test_a_command_that_was_asked_to_stop_ends_the_table(
  ran, monkeypatch, capsys
):
  def stopped(command, check):
    ran.append(command)
    return run_table.subprocess.CompletedProcess(command, 75)

  monkeypatch.setattr(run_table.subprocess, "run", stopped)
  with pytest.raises(SystemExit) as caught:
    run()
  assert caught.value.code == 75
  assert len(ran) == 1
  assert "same command again" in capsys.readouterr().err


def test_an_interrupt_waits_for_the_command_and_ends_the_table(
  ran, monkeypatch
):
  def interrupted(command, check):
    os.kill(os.getpid(), signal.SIGINT)
    ran.append(command)  # It still ends by itself.
    return run_table.subprocess.CompletedProcess(command, 0)

  monkeypatch.setattr(run_table.subprocess, "run", interrupted)
  handler = signal.getsignal(signal.SIGINT)
  with pytest.raises(SystemExit) as caught:
    run()
  assert caught.value.code == 75
  assert len(ran) == 1
  assert signal.getsignal(signal.SIGINT) is handler


def test_a_dry_run_only_prints(ran, capsys):
  run_table.run("main", "test", [], dry_run=True)
  assert not ran
  assert "--config.workdir=runs/main/a_seed0" in capsys.readouterr().out


def test_missing_data_skips_the_row_and_says_what_to_get(
  ran, monkeypatch, capsys
):
  monkeypatch.setattr(run_table, "missing_data", lambda *_: "Get it there.")
  assert run() == 0
  assert not ran
  assert "skipped  A: Get it there." in capsys.readouterr().out


def test_missing_data_is_looked_for_where_the_overrides_say(tmp_path):
  row = Row("f", "F", "configs/ferplus.py")
  message = run_table.missing_data(row, [f"--config.data.dir={tmp_path}"])
  assert str(tmp_path) in message
  assert "FERPlus" in message


def test_a_row_whose_code_was_taken_out_names_its_last_revision(
  ran, monkeypatch, capsys
):
  row = Row("b", "B", "configs/fer2013.py", last_revision="abc1234")
  monkeypatch.setitem(TABLES, "main", (row, *TABLES["main"]))
  assert run() == 0
  assert len(ran) == 2
  assert all("runs/main/a_seed" in " ".join(command) for command in ran)
  out = capsys.readouterr().out
  assert "skipped  B: " in out and "git checkout abc1234" in out


def test_every_row_overrides_fields_that_exist():
  for rows in TABLES.values():
    for row in rows:
      if row.last_revision:
        continue
      config = runpy.run_path(row.config)["get_config"]()
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
  from pattlite_jax.data import load

  monkeypatch.setattr(load, "require_files", lambda *_: None)
  (row, *_) = TABLES["challenges"]
  monkeypatch.setattr(run_table, "CHALLENGE_LISTS", str(tmp_path / "none"))
  message = run_table.missing_data(row, [])
  assert "Challenge-condition-FER-dataset" in message


def test_a_row_says_what_was_published_and_what_to_expect():
  rows = {row.name: row for row in TABLES["main"]}
  text = run_table.describe(rows["raf_db"])
  for part in ("RAF-DB", "95.05", "2306.09626", "84.09", "near-neutral-fer"):
    assert part in text
