"""A result whose figures cannot be is refused in one line."""

import json
import math
import pathlib

import pytest
from etils import epath

from pattlite_jax.report import lines, result_file, write
from pattlite_jax.runtime.errors import UserError

FIGURES = {
  "num_examples": 4,
  "accuracy": 0.75,
  "macro_f1": 0.7,
  "mean_class_accuracy": None,
  "loss": 0.9,
  "ece": 0.1,
  "confusion_matrix": [[1, 1], [0, 2]],
}
RESULT = {
  "dataset": "fer2013",
  "rule": None,
  "method": "pattlite",
  "attention": "batch",
  "hours": 1.5,
  "epochs": {"stage1": 3, "stage2": 0},
  "splits": {
    "test": {
      "per_sample": FIGURES,
      "across_batch": {"order": "official", **FIGURES},
      "challenges": {"pose": {"list_labels": {"per_sample": FIGURES}}},
    }
  },
}


def changed(place, value):
  """Returns the result with another value at a place; {} leaves it out."""
  result = json.loads(json.dumps(RESULT))  # Shares nothing.
  *parents, last = place.split("/")
  node = result
  for name in parents:
    node = node[name]
  node[last] = value
  if value == {}:
    del node[last]
  return result


def test_what_runs_wrote_is_read(tmp_path):
  path = tmp_path / "a.json"
  path.write_text(json.dumps(RESULT))
  assert result_file.read(epath.Path(path)) == RESULT
  folder = pathlib.Path(__file__).parents[2] / "results"
  for path in folder.rglob("*_seed*.json"):
    if not path.stem.endswith("_audit"):
      assert result_file.read(epath.Path(path))["splits"]


@pytest.mark.parametrize(
  "found", [None, {}, [], "passed", {"passed": 1}, {"passed": "yes"}]
)
def test_an_audit_without_a_verdict_is_refused(tmp_path, found):
  path = epath.Path(tmp_path) / "a_audit.json"
  path.write_text(json.dumps({"batch_dependence": found}))
  with pytest.raises(UserError, match=r"is no audit.*must say whether"):
    result_file.read_audit(path)


TEST = "splits/test"
ALONE = f"{TEST}/per_sample"


@pytest.mark.parametrize(
  ("place", "value", "message"),
  [
    (
      f"{ALONE}/accuracy",
      7.5,
      "test/per_sample/accuracy is 7.5, but must be a",
    ),
    (f"{ALONE}/accuracy", -0.1, "a share from 0 to 1"),
    (f"{ALONE}/accuracy", math.nan, "accuracy is nan"),
    (f"{ALONE}/accuracy", True, "accuracy is True"),
    (f"{ALONE}/accuracy", "0.75", "accuracy is '0.75'"),
    (f"{ALONE}/accuracy", None, "accuracy is None"),
    (f"{ALONE}/accuracy", {}, "an accuracy and a macro_f1"),
    (f"{ALONE}/accuracy", 0.9, "0.9, but must be 0.75, as in its confusion"),
    (f"{ALONE}/macro_f1", 1.01, "macro_f1 is 1.01"),
    (f"{ALONE}/ece", 2, "ece is 2"),
    (f"{ALONE}/loss", math.inf, "loss is inf"),
    (f"{ALONE}/loss", -1, "loss is -1"),
    (f"{ALONE}/num_examples", 5, "5, but must be 4, as in its confusion"),
    (f"{ALONE}/num_examples", 4.0, "num_examples is 4.0"),
    (f"{ALONE}/confusion_matrix", [[1, 1]], "counts, K for K classes"),
    (f"{ALONE}/confusion_matrix", [[4, -1], [0, 1]], "counts, K for K"),
    (f"{ALONE}/confusion_matrix", [[1.5, 0], [0, 2.5]], "counts, K for K"),
    (f"{ALONE}/confusion_matrix", [], "num_examples is 4, but must be 0"),
    (f"{TEST}/across_batch/accuracy", 2, "across_batch/accuracy is 2"),
    (f"{TEST}/across_batch", 3, "test/across_batch is 3"),
    (f"{TEST}/challenges", 3, "test/challenges is 3"),
    (f"{TEST}/challenges/pose", {"x": 1}, "the figures by list_labels"),
    (
      f"{TEST}/challenges/pose/list_labels/per_sample/accuracy",
      9,
      "pose/list_labels/per_sample/accuracy is 9",
    ),
    (TEST, {"across_batch": FIGURES}, "per_sample"),
    ("splits", [], "splits is \\[\\]"),
    ("splits", {}, "splits is None"),
    ("splits/other", {"per_sample": FIGURES}, "'other', but must be of train"),
    ("dataset", {}, "dataset is None"),
    ("dataset", "a|b", "dataset is 'a|b'"),
    ("method", "[x](http://y)", "a word or two"),
    ("rule", 3, "rule is 3"),
    ("hours", "1", "hours is '1'"),
    ("hours", 10**400, "hours is 1000"),
    ("epochs", {"stage1": 1.5}, "a whole number for each stage"),
    ("epochs", 3, "epochs is 3"),
  ],
)
def test_figures_that_cannot_be_are_refused(tmp_path, place, value, message):
  path = epath.Path(tmp_path / "a_seed0.json")
  path.write_text(json.dumps(changed(place, value)))
  with pytest.raises(UserError, match=message) as error:
    result_file.read(path)
  text = str(error.value)
  assert str(path) in text and "\n" not in text and len(text) < 400


@pytest.mark.parametrize(
  ("content", "message"),
  [("", "Expecting value"), ("[]", "a list"), ("{", "not valid JSON")],
)
def test_files_of_other_kinds_are_named(tmp_path, content, message):
  (tmp_path / "a.json").write_text(content)
  with pytest.raises(UserError, match=rf"a\.json.*{message}"):
    lines.read_single(epath.Path(tmp_path), "results")
  (tmp_path / "bench_cpu.json").write_text(content)
  with pytest.raises(UserError, match=rf"bench_cpu\.json.*{message}"):
    write.speed(epath.Path(tmp_path), "cpu")
  (tmp_path / "bench_cpu.json").write_text('{"machine": 3}')
  with pytest.raises(UserError, match="is no benchmark's result: KeyError"):
    write.speed(epath.Path(tmp_path), "cpu")
