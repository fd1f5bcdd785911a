"""The command, with a checkpoint of random weights and tiny splits."""

import json
import pathlib
import subprocess
import sys

import jax
import ml_collections
import numpy as np
import pytest
from absl import flags

from pattlite_jax.audit import __main__ as audit
from pattlite_jax.audit import counts, duplicates, findings, lists, selection
from pattlite_jax.config import files as config_files
from pattlite_jax.data import load, packed
from pattlite_jax.data.examples import Examples
from pattlite_jax.trained import Trained
from pattlite_jax.training import setup
from pattlite_jax.training.progress import Progress
from pattlite_jax.weights import checkpoint

ROOT = pathlib.Path(__file__).parents[2]
CLASS_NAMES = ("anger", "disgust", "happiness")


def record(stage, epoch, step, train, validation):
  return {
    "stage": stage,
    "epoch": epoch,
    "step": step,
    "train_accuracy": train,
    "val_accuracy": validation,
  }


HISTORY = [
  record("stage1", 0, 10, 0.3, 0.5),
  record("stage1", 1, 20, 0.4, 0.7),
  record("stage1", 2, 30, 0.9, 0.702),  # Less than min_delta better.
  record("stage2", 0, 40, 0.8, 0.9),
  record("stage2", 1, 50, 0.85, 0.6),
]


def write_checkpoint(workdir, config, history, variables=None):
  """Writes the checkpoint of each epoch of a run with that history."""
  variables = variables or {"params": {"x": np.zeros(1, np.float32)}}
  described = checkpoint.describe(config, CLASS_NAMES)
  with checkpoint.open_manager(workdir) as manager:
    for number, last in enumerate(history, start=1):
      checkpoint.save(
        manager,
        last["step"],
        state={"step": np.array(last["step"])},
        best=variables,
        progress=Progress(history=tuple(history[:number])).to_json(),
        config=described,
      )
    manager.wait_until_finished()


@pytest.fixture(scope="module")
def workdirs(tmp_path_factory):
  """{attention: workdir} of checkpoints with the same random weights."""
  config = config_files.load("fer2013")
  config.data.name = "synthetic_faces"
  config.model.cut = "conv_pw_1_relu"
  config.model.image_size = 24
  variables = jax.device_get(setup.random_variables(config, 3))
  folders = {}
  for attention in ("batch", "token"):
    config.model.attention = attention
    folders[attention] = tmp_path_factory.mktemp(attention)
    write_checkpoint(folders[attention], config, HISTORY[-2:], variables)
  return folders


@pytest.fixture
def pack(make_examples, tmp_path):
  """Packs tiny splits as a data set; returns the file."""
  train, test = make_examples(20, seed=1), make_examples(12, seed=2)
  test.images[0] = train.images[3]
  splits = {"train": train, "validation": make_examples(9), "test": test}

  def pack(name="synthetic_faces", **changes):
    path = tmp_path / "faces.npz"
    packed.write(path, name, splits | changes)
    return str(path)

  return pack


@pytest.fixture
def run(capsys):
  """Runs the command; returns (exit status, stdout, stderr)."""

  def run(**given):
    values = flags.FlagValues()
    audit.define_flags(values)
    values(["audit", *(f"--{name}={value}" for name, value in given.items())])
    with pytest.raises(SystemExit) as caught:
      audit.main(["audit"], values)
    return caught.value.code, *capsys.readouterr()

  return run


def test_a_batch_model_fails_and_everything_is_reported(
  run, workdirs, pack, tmp_path
):
  paths = {name: str(tmp_path / name) for name in ("json", "markdown")}
  checkpoint_path = str(workdirs["batch"])
  status, printed, _ = run(
    checkpoint=checkpoint_path, packed=pack(), num_images=9, **paths
  )
  assert status == 1
  assert "FAIL: dependent" in printed
  assert "1 test images are in train" in printed
  report = json.loads((tmp_path / "json").read_text())
  assert report["split"] == "test" and report["attention"] == "batch"
  assert report["batch_dependence"]["num_images"] == 9
  clean = report["duplicates"]["clean"]["parts"]
  assert clean["all"]["num_images"] == 12
  assert clean["duplicates_only"]["num_images"] == 1
  assert report["counts"]["matches"] is None
  assert report["selection"]["chosen_by"] == "train"
  page = (tmp_path / "markdown").read_text()
  assert "# Audit of synthetic_faces" in page
  assert "**Fail**: dependent" in page
  assert "| single class | 32 |" in page
  assert "| exact | 1-3 = 2-0 |" in page
  assert "The train split chose the weights" in page
  assert "Skipped: there is no --challenge_lists." in page


def test_a_token_model_passes(run, workdirs, pack):
  status, printed, _ = run(
    checkpoint=str(workdirs["token"]),
    packed=pack(),
    split="train",
    num_images=6,
  )
  assert status == 0
  assert "pass: independent" in printed


def test_without_data_the_network_alone_is_audited(
  run, workdirs, pack, tmp_path, monkeypatch
):
  def never(splits):
    raise AssertionError("no duplicates were asked for")

  monkeypatch.setattr(duplicates, "audit", never)
  paths = {name: str(tmp_path / name) for name in ("json", "markdown")}
  status, printed, _ = run(
    checkpoint=str(workdirs["batch"]),
    packed=pack(),
    num_images=9,
    data=False,
    **paths,
  )
  assert status == 1
  assert "FAIL: dependent" in printed
  assert printed.count("skipped: --nodata") == 3
  report = json.loads((tmp_path / "json").read_text())
  assert report["duplicates"] == {"skipped": "--nodata"}
  assert report["selection"]["chosen_by"] == "train"
  assert (tmp_path / "markdown").read_text().count("Skipped: --nodata.") == 3


def test_without_a_checkpoint_the_data_alone_are_audited(
  run, pack, make_examples, tmp_path
):
  page = tmp_path / "page.md"
  status, printed, _ = run(
    packed=pack(test=make_examples(0)), markdown=str(page)
  )
  assert status == 0
  assert printed.count("skipped: there is no --checkpoint") == 2
  assert "validation, as the test split is empty" in page.read_text()


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"dataset": "fer201"}, "Did you mean 'fer2013'?"),
    (
      {"dataset": "fer2013", "data_dir": "nowhere"},
      "The flag is --data_dir=<folder>.",
    ),
    (
      {"checkpoint": "nowhere"},
      "The flag is --checkpoint=<folder>.",
    ),
    ({"packed": "nowhere.npz"}, "The flag is --packed=<file>."),
    ({}, "Pass --checkpoint=<workdir>, --dataset=<name> or --packed=<file>"),
    (
      {"packed": "nowhere.npz", "data": False},
      "--nodata audits the network alone: pass --checkpoint=<workdir>.",
    ),
    (
      {"checkpoint": "nowhere", "challenge_lists": "x", "data": False},
      "--challenge_lists are of the data: leave out --nodata.",
    ),
  ],
)
def test_misuse_is_said_in_a_line(run, given, message):
  _is_misuse(run(**given), message)


def _is_misuse(outcome, *messages):
  status, printed, error = outcome
  assert status == 2
  assert not printed
  for message in messages:
    assert message in error
  assert "Traceback" not in error and "--config." not in error


def test_what_does_not_fit_the_data_is_said_in_a_line(
  run, pack, workdirs, make_examples
):
  path = pack("raf_db", test=make_examples(0))
  _is_misuse(
    run(packed=path, split="test"), "--data_dir", "test split of raf_db"
  )
  _is_misuse(
    run(packed=path, dataset="fer2013"), "holds raf_db", "--packed=<file>"
  )
  path = pack()
  done = run(packed=path, json="/dev/null/x")
  assert done[0] == 2 and "/dev/null" in done[2]
  assert "duplicates        0 pairs" in done[1]  # What was found is not lost.
  _is_misuse(
    run(packed=path, challenge_lists="."),
    "no challenge lists for 'synthetic_faces'",
  )


def test_another_set_of_classes_is_misuse(run, pack, workdirs):
  faces = Examples(
    np.zeros((2, 4, 4, 1), np.uint8),
    np.zeros(2, np.int32),
    np.array(["a", "b"]),
    ("sleepy", "grumpy"),
  )
  path = pack(train=faces, validation=faces, test=faces)
  outcome = run(checkpoint=str(workdirs["token"]), packed=path)
  _is_misuse(outcome, "sleepy", "happiness", "--dataset=<name>")


def test_a_crash_is_no_verdict(run, pack, monkeypatch):
  def crash(*args, **kwargs):
    raise RuntimeError("a mistake of the program")

  monkeypatch.setattr(duplicates, "audit", crash)
  status, _, error = run(packed=pack())
  assert status == 2
  assert "Traceback" in error


def command(*args):
  return subprocess.run(
    [sys.executable, "-m", "pattlite_jax.audit", *args],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )


@pytest.mark.parametrize("args", [["--nope"], ["--split=all"], ["x"], []])
def test_bad_flags_exit_with_2(args):
  done = command(*args)
  assert done.returncode == 2
  assert done.stderr.startswith("Error: ")
  assert len(done.stderr.splitlines()) == 1


def test_help_names_every_flag_and_needs_no_library():
  done = command("--help")
  assert done.returncode == 0
  for flag in ("checkpoint", "dataset", "data_dir", "split", "num_images"):
    assert f"--{flag}:" in done.stdout
  code = (
    "import sys, pattlite_jax.audit.__main__\n"
    "assert not {'jax', 'tensorflow', 'flax'} & sys.modules.keys()"
  )
  subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize(
  "chosen_by, said", [("no", "no split"), ("train", "the train split")]
)
def test_the_choice_of_the_weights_is_said_in_plain_words(chosen_by, said):
  last = dict(monitor="m", stage="stage1", chosen_epoch=2, epochs=3)
  text = findings.selection({"chosen_by": chosen_by, "stages": [last]})
  assert text.startswith(f"{said} chose the weights (m, stage1, epoch 2 of 3)")


def choice(path):
  """Audits the history at a path; the weights there are no network's."""
  items = checkpoint.restore(path, ("config", "progress"))
  config = ml_collections.ConfigDict(items["config"]["config"])
  history = items["progress"]["history"]
  return selection.audit(Trained({}, config, CLASS_NAMES, history=history))


def test_the_epoch_is_found_from_the_history(tmp_path, small_config):
  write_checkpoint(tmp_path, small_config, HISTORY[:4])
  report = choice(tmp_path)
  assert report["chosen_by"] == "train" and report["test_used"] is False
  stage1, stage2 = report["stages"]
  assert stage1 == {
    "stage": "stage1",
    "monitor": "val_accuracy",
    "split": "validation",
    "epochs": 3,
    "chosen_epoch": 2,
    "step": 20,
    "value": 0.7,
  }
  assert stage2["monitor"] == "train_accuracy"
  assert (stage2["chosen_epoch"], stage2["value"]) == (1, 0.8)


def test_a_step_knows_nothing_of_later_epochs(tmp_path, small_config):
  small_config.stage2.monitor = "val_accuracy"
  write_checkpoint(tmp_path, small_config, HISTORY[2:4])
  first = tmp_path / checkpoint.FOLDER / "30"
  assert len(choice(first)["stages"]) == 1
  whole = choice(tmp_path)
  assert whole["chosen_by"] == "validation"
  assert whole["stages"][1]["step"] == 40


def test_ported_weights_have_no_record_of_training(tmp_path, small_config):
  variables = {"x": np.zeros(1)}
  checkpoint.save_best(tmp_path, variables, small_config, CLASS_NAMES)
  for path in (tmp_path, tmp_path / checkpoint.FOLDER / "0"):
    report = choice(path)
    assert report["chosen_by"] is None and report["test_used"] is None
    assert "no record of training" in findings.selection(report)


def splits_of(class_counts):
  """Splits of black pictures with these numbers of each class."""
  splits = {}
  for name, numbers in class_counts.items():
    labels = np.repeat(np.arange(len(numbers)), numbers).astype(np.int32)
    images = np.zeros((len(labels), 1, 1, 1), np.uint8)
    ids = np.arange(len(labels)).astype(str)
    classes = tuple(f"class{k}" for k in range(len(numbers)))
    splits[name] = Examples(images, labels, ids, classes)
  return splits


def test_counts_as_published_match():
  published = load.published_counts("raf_db")
  report = counts.audit("raf_db", splits_of(published))
  assert report["matches"] is True
  assert report["differences"] == []
  assert report["seen"] == report["published"]
  assert sum(report["published"]["test"]) == 3068


def test_counts_that_differ_are_listed():
  published = load.published_counts("ferplus/argmax")
  seen = {name: list(numbers) for name, numbers in published.items()}
  seen["test"][2] -= 1
  report = counts.audit("ferplus/argmax", splits_of(seen))
  assert report["matches"] is False
  assert report["differences"] == [
    "test, class2: 443 images seen, 444 expected"
  ]


def test_published_counts_of_a_fold_are_of_the_whole_set():
  assert load.published_counts("ck_plus/fold3").keys() == {"all"}
  assert not pathlib.Path("unused").exists()


def test_lists_are_compared_with_the_test_split(tmp_path):
  names = ["test_0003", "test_0004", "test_0009"]
  lines = [f"{name}_aligned 3 4" for name in [*names[:2], names[0]]]
  path = tmp_path / "rafdb_occlusion_list.txt"
  path.write_text("\n".join(lines) + "\n")
  test = splits_of({"test": [1, 0, 0, 2, 0, 0, 0]})["test"]
  test = Examples(test.images, test.labels, np.array(names), test.class_names)
  report = lists.audit("raf_db", str(tmp_path), "", test)
  assert report["missing_files"] == [
    "val_raf_db_list.txt",
    "val_raf_db_list_45.txt",
  ]
  occlusion = report["lists"]["occlusion"]
  assert occlusion["duplicates"] == ["test_0003"]
  assert occlusion["num_lines"] == 3
  assert occlusion["published_num_lines"] == 735
  assert occlusion["num_examples"] == 2
  assert occlusion["label_agreement"] == 0.5
  without_test = lists.audit("raf_db", "", "", test.take(np.zeros(0, int)))
  assert "empty" in without_test["skipped"]
