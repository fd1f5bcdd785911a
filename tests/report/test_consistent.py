"""A results file that contradicts its name, its row or itself is refused."""

import contextlib
import copy
import dataclasses
import json

import numpy as np
import pytest
from etils import epath

from pattlite_jax.report import consistent
from pattlite_jax.report.row import SHUFFLED, Row
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring import metrics

ROW = Row(
  "a",
  "A",
  "configs/ferplus.py",
  overrides={"model.attention": "batch", "stage1.epochs": 5},
  seeds=(0, 1),
  scorings=(SHUFFLED,),
)
TABLES = {"main": [ROW]}


def figures(seed):
  rng = np.random.default_rng(seed)
  logits = rng.normal(size=(12, 3)).astype(np.float32)
  return metrics.score(logits, np.arange(12) % 3)


def training(seed):
  return {
    "dataset": "ferplus",
    "rule": "majority",
    "method": "pattlite",
    "attention": "batch",
    "seed": seed,
    "splits": {
      "test": {"per_sample": figures(seed), "across_batch": figures(seed + 5)}
    },
    "history": [{"epoch": 0, "train_loss": float(seed)}],
    "config_changes": [],
    "command": f"python -m pattlite_jax.main --config=configs/ferplus.py "
    f"--config.seed={seed} --config.model.attention=batch "
    "--config.stage1.epochs=5 '--config.data.dir=a b'",
  }


def scoring(seed):
  result = training(seed)
  del result["history"]
  return result | {
    "checkpoint": f"runs/main/a_seed{seed}",
    "command": "python -m pattlite_jax.evaluate --order=shuffled "
    f"--batch_size=32 --checkpoint=runs/main/a_seed{seed}",
  }


@pytest.fixture
def check(tmp_path):
  """Returns check(name, result), of a folder with the row's other files."""
  (tmp_path / "main").mkdir()

  def check(name="", result=None):
    files = {f"main/a_seed{seed}": training(seed) for seed in ROW.seeds}
    files |= {
      f"main/a_seed{seed}_shuffled_32": scoring(seed) for seed in ROW.seeds
    }
    for own, content in (files | ({name: result} if name else {})).items():
      (tmp_path / f"{own}.json").write_text(json.dumps(content))
    consistent.check(epath.Path(tmp_path), TABLES)

  return check


def changed(result, path, value):
  """Returns a copy with another value at a path, such as splits.test."""
  result = copy.deepcopy(result)
  *places, last = path.split(".")
  node = result
  for place in places:
    node = node[place]
  node[last] = value
  return result


def test_files_that_agree_are_no_error(check):
  check()


def test_a_path_may_be_another_on_each_machine(tmp_path):
  overrides = {**ROW.overrides, "start_from": "runs/first"}
  row = dataclasses.replace(ROW, overrides=overrides, scorings=(), seeds=(1,))
  (tmp_path / "main").mkdir()
  for path, fails in (("/scratch/first", False), ("runs/second", True)):
    result = training(1) | {"command": f"x --config.start_from={path}"}
    (tmp_path / "main/a_seed1.json").write_text(json.dumps(result))
    refused = pytest.raises(UserError, match="start_from=runs/second, not")
    with refused if fails else contextlib.nullcontext():
      consistent.check(epath.Path(tmp_path), {"main": (row,)})


PER_SAMPLE = "splits.test.per_sample"


@pytest.mark.parametrize(
  ("path", "value", "message"),
  [
    ("seed", 0, "has the seed 0, but its name says 1"),
    ("rule", "argmax", "'ferplus/argmax', but its name says 'ferplus/majority"),
    ("dataset", "raf_db", "has the data set 'raf_db/majority'"),
    ("method", "eac", "has the method 'eac'"),
    ("attention", "token", "is of attention 'token', but its row of 'batch'"),
    ("command", "x --config.seed=0", "was trained with config.seed=0, not 1"),
    (
      "command",
      "x --config.stage1.epochs=7",
      "was trained with config.stage1.epochs=7, not 5",
    ),
    (
      "config_changes",
      [{"step": 3, "field": "seed", "old": 0, "new": 1}],
      "config.seed was changed in the middle",
    ),
    ("history", training(0)["history"], "the same run as a_seed0.json"),
    (f"{PER_SAMPLE}.accuracy", 7.5, "test, per_sample.* accuracy 7.5"),
    (f"{PER_SAMPLE}.macro_f1", 0.9, "has macro_f1 0.9"),
    (f"{PER_SAMPLE}.mean_class_accuracy", 0.9, "mean_class_accuracy 0.9"),
    (f"{PER_SAMPLE}.num_examples", 13, "13 images, but a confusion matrix of"),
    ("splits.test.across_batch.accuracy", 1.0, "test, across_batch"),
  ],
)
def test_a_training_that_says_something_else_is_refused(
  check, path, value, message
):
  with pytest.raises(UserError, match=message) as caught:
    check("main/a_seed1", changed(training(1), path, value))
  text = str(caught.value)
  assert "a_seed1.json" in text and "\n" not in text
  assert "launch/table.sh main --rows=a --seed=1" in text


@pytest.mark.parametrize(
  ("path", "value", "message"),
  [
    ("seed", 0, "has the seed 0"),
    ("checkpoint", "runs/main/a_seed0", "scores the network a_seed0"),
    ("command", "x --order=official", "with --order=official, not shuffled"),
    ("command", "x --batch_size=8", "with --batch_size=8, not 32"),
  ],
)
def test_a_scoring_that_says_something_else_is_refused(
  check, path, value, message
):
  with pytest.raises(UserError, match=message):
    check("main/a_seed1_shuffled_32", changed(scoring(1), path, value))


def test_a_split_has_the_same_images_in_all_files(check):
  fewer = metrics.score(
    np.eye(3, dtype=np.float32)[np.arange(9) % 3], np.arange(9) % 3
  )
  other = training(1)
  other["splits"]["test"] = {"per_sample": fewer}
  with pytest.raises(UserError, match=r"9 images .* a_seed0.json has 12"):
    check("main/a_seed1", other)


@pytest.mark.parametrize(
  ("path", "value"),
  [
    ("command", None),
    ("command", '"'),
    ("command", 3),
    ("config_changes", 5),
    ("config_changes", [1]),
    ("splits", []),
    (f"{PER_SAMPLE}.confusion_matrix", None),
    (f"{PER_SAMPLE}.num_examples", "12"),
  ],
)
def test_what_cannot_be_compared_is_one_line(check, path, value):
  with pytest.raises(UserError, match=r"a_seed1\.json") as caught:
    check("main/a_seed1", changed(training(1), path, value))
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
  "lacking",
  [
    *("seed", "command", "history", "splits"),
    *(f"{PER_SAMPLE}.{name}" for name in figures(0)),
  ],
)
def test_what_is_not_there_is_one_line(check, lacking):
  result = changed(training(1), lacking, None)
  *places, last = lacking.split(".")
  node = result
  for place in places:
    node = node[place]
  del node[last]
  with contextlib.suppress(UserError):  # Some figures are not compared.
    check("main/a_seed1", result)


@pytest.mark.parametrize("content", ["", "{", "null", "[]", "3", "\xff"])
def test_files_of_no_table_that_are_no_results_are_named(tmp_path, content):
  (tmp_path / "other.json").write_bytes(content.encode("latin-1"))
  with pytest.raises(UserError, match=r"other\.json"):
    consistent.check(epath.Path(tmp_path), {})


def test_files_of_no_table_are_checked_in_their_figures(check):
  check("single", training(7))
  with pytest.raises(UserError, match=r"single.json .*has macro_f1"):
    check("single", changed(training(7), f"{PER_SAMPLE}.macro_f1", 0.9))
