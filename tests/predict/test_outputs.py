"""Files of rows, and runs that go on with them."""

import csv
import io
import itertools

import pytest

from pattlite_jax.predict import outputs
from pattlite_jax.predict.rows import Result
from pattlite_jax.runtime.errors import UserError

NAMES = ("happiness", "fear")
ABOUT = {"network": {"sha256": "1234"}}
FILES = ["a.png", "=b\n,.png", "c.mp4", "d.png"]
RESULTS = [
  Result(FILES[0]),
  Result(FILES[1], error='it "is" empty'),
  *(Result(FILES[2], frame=number, time_s=number / 25) for number in range(3)),
  Result(FILES[3]),
]


def make(tmp_path, which=("csv", "json"), about=ABOUT, names=NAMES):
  made = {
    "csv": lambda: outputs.csv_output(str(tmp_path / "o.csv"), names),
    "json": lambda: outputs.json_output(str(tmp_path / "o.json"), about),
  }
  return [made[name]() for name in which]


def run(files, *, resume, results=RESULTS):
  """Writes what is not done yet, as the command does."""
  outputs.open_all(files, resume=resume)
  for result in results:
    if not outputs.are_done(files, result.file):
      for file in files:
        file.add(result)
  for file in files:
    file.close()


def contents(tmp_path):
  return [
    (tmp_path / name).read_bytes()
    for name in ("o.csv", "o.json")
    if (tmp_path / name).exists()
  ]


def test_rows_are_in_the_file_as_soon_as_they_are_added(tmp_path):
  files = make(tmp_path)
  outputs.open_all(files, resume=False)
  files[0].add(RESULTS[0])
  text = (tmp_path / "o.csv").read_text()
  assert [row[0] for row in csv.reader(io.StringIO(text))] == ["file", "a.png"]


@pytest.mark.parametrize("first", ["csv", "json"])
def test_a_file_that_joins_later_gets_all_and_the_other_stays(tmp_path, first):
  run(make(tmp_path / "both"), resume=False)
  run(make(tmp_path / "one", [first]), resume=False)
  run(make(tmp_path / "one"), resume=True)
  assert contents(tmp_path / "one") == contents(tmp_path / "both")


@pytest.mark.parametrize("which", ["csv", "json"])
def test_what_could_not_be_read_is_known_later(tmp_path, which):
  run(make(tmp_path, [which]), resume=False)
  (file,) = make(tmp_path, [which])
  file.scan()
  assert file.unreadable == {FILES[1]}


@pytest.mark.parametrize("which", [("csv",), ("json",), ("csv", "json")])
def test_a_run_killed_anywhere_ends_as_if_it_had_not_been(tmp_path, which):
  whole = tmp_path / "whole"
  run(make(whole, which), resume=False)
  expected = contents(whole)
  # All writes, as they come, each of which may be the last, or be torn.
  killed = tmp_path / "killed"
  killed.mkdir()
  paths = [killed / f"o.{name}" for name in which]
  steps = []
  files = make(killed, which)
  outputs.open_all(files, resume=False)
  for result, file in itertools.product(RESULTS, files):
    file.add(result)
    steps.append([path.read_bytes() for path in paths])
  for torn in (0, 1, 7):
    for step in steps:
      for path, text in zip(paths, step, strict=True):
        path.write_bytes(text[: len(text) - torn])
      run(make(killed, which), resume=True)
      assert contents(killed) == expected


def test_files_that_are_there_are_not_lost(tmp_path):
  run(make(tmp_path), resume=False)
  before = contents(tmp_path)
  with pytest.raises(UserError, match="pass --resume to go on"):
    run(make(tmp_path), resume=False)
  assert contents(tmp_path) == before


def test_another_networks_files_are_not_gone_on_with(tmp_path):
  run(make(tmp_path), resume=False)
  before = contents(tmp_path)
  with pytest.raises(UserError, match="begins with b'file,"):
    run(make(tmp_path, ["csv"], names=("happiness",)), resume=True)
  other = {"network": {"sha256": "5678"}}
  with pytest.raises(UserError, match="It is of another network or detector"):
    run(make(tmp_path, ["json"], about=other), resume=True)
  assert contents(tmp_path) == before
  (tmp_path / "o.csv").write_text("my thesis")
  with pytest.raises(UserError, match="name another file"):
    run(make(tmp_path, ["csv"]), resume=True)
  assert (tmp_path / "o.csv").read_text() == "my thesis"


def test_resuming_without_files_begins_them(tmp_path):
  run(make(tmp_path / "new"), resume=True)
  run(make(tmp_path / "whole"), resume=False)
  assert contents(tmp_path / "new") == contents(tmp_path / "whole")
