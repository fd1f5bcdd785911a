"""The table of peers: its commands, and what it shows of their results."""

import json

import pytest
from etils import epath

from pattlite_jax.report import peers
from pattlite_jax.report import run as run_table
from pattlite_jax.runtime.errors import UserError


def entry(accuracy, **fields):
  figures = {"accuracy": accuracy, "macro_f1": 0.5, "ece": 0.1}
  return {
    "version": "1.2.3",
    "runtime": "a runtime",
    "bytes": 250_000,
    "parameters": 60_000,
    "ms": 12.345,
    "figures": figures | {"num_examples": 3589},
    **fields,
  }


def result(**fields):
  networks = {"ours": entry(0.7), "fer": entry(0.65), "human": entry(0.66)}
  return {
    "dataset": "fer2013",
    "split": "validation",
    "class_names": ["anger", "fear"],
    "networks": networks | {"face_api": entry(0.58)} | fields,
  }


def test_each_network_has_its_figures(tmp_path):
  (tmp_path / "fer2013.json").write_text(json.dumps(result()))
  text = peers.text(epath.Path(tmp_path))
  assert text[0] == "### FER2013, PublicTest: 3,589 faces, 2 classes"
  assert "| Human | 1.2.3 | 66.00 % | 50.00 % | 10.00 % | 60,000 |" in text[6]
  assert text[6].endswith("| 0.25 MB | 12.3 | a runtime |")
  assert text[4].startswith('| `load("fer2013")` |  | 70.00 %')
  assert peers.text(epath.Path(tmp_path / "none")) == []


def test_what_finds_faces_has_a_table_of_its_own(tmp_path):
  ours = {
    "version": "abc",
    "found": 950,
    "boxes_elsewhere": 3,
    "accuracy_of_found": 0.8,
    "accuracy_of_all": 0.76,
    "ms": 12.345,
  }
  fer = ours | {"found": 0, "accuracy_of_found": None, "accuracy_of_all": 0.0}
  result = {"pictures": 1000, "tools": {"ours": ours, "fer": fer}}
  (tmp_path / "photographs.json").write_text(json.dumps(result))
  text = peers.text(epath.Path(tmp_path))
  assert text[0] == "### Finding and reading 1,000 faces in pictures"
  assert text[4] == (
    "| `predict --model ferplus` | 95.00 % | 3 | 80.00 % | 76.00 % | 12.3 |"
  )
  assert text[5] == "| fer | 0.00 % | 3 | - | 0.00 % | 12.3 |"


@pytest.mark.parametrize(
  "changes",
  [
    {"fer": {}},
    {"fer": entry("most")},
    {"fer": entry(0.6, version="1 | 2")},
    {"fer": entry(0.6, ms=None)},
  ],
)
def test_a_file_of_something_else_is_refused(tmp_path, changes):
  (tmp_path / "fer2013.json").write_text(json.dumps(result(**changes)))
  with pytest.raises(UserError, match="is no result of benchmark"):
    peers.text(epath.Path(tmp_path))


def test_the_commands_say_where_the_data_lies():
  (fer2013, path), (ferplus, _), (photos, _) = peers.commands([])
  assert fer2013[2:] == [
    "pattlite_jax.benchmark.on_faces",
    "--network=fer2013",
    "--peers=.peers",
    "--dataset=fer2013",
    "--data_dir=data/fer2013",
    "--json=results/peers/fer2013.json",
  ]
  assert str(path) == "results/peers/fer2013.json"
  assert "--dataset=ferplus/argmax" in ferplus
  assert photos[2] == "pattlite_jax.benchmark.on_photos"
  assert photos[-1] == "--json=results/peers/photographs.json"
  ((command, _),) = peers.commands(
    ["--config.data.packed=a b.npz"], ["ferplus"]
  )
  assert "--packed=a b.npz" in command
  assert not any(word.startswith("--data_dir") for word in command)
  with pytest.raises(UserError, match="trains nothing"):
    list(peers.commands(["--config.seed=1"]))
  with pytest.raises(UserError, match=r"must be of \['fer2013', 'ferplus', "):
    list(peers.commands([], ["human"]))


def test_what_is_there_is_not_measured_again(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  ran = []

  def start(command):
    ran.append(command)
    path = epath.Path(command[-1].partition("=")[2])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    return 0

  assert run_table.compare([], dry_run=True, start=start) == 0 and not ran
  assert (
    run_table.compare([], dry_run=False, only=["ferplus"], start=start) == 0
  )
  assert run_table.compare([], dry_run=False, start=start) == 0
  assert [command[3] for command in ran] == [
    "--network=ferplus",
    "--network=fer2013",
    "--network=ferplus",  # On photographs.
  ]
  assert "done     results/peers/ferplus.json" in capsys.readouterr().out
