import json

import pytest

from pattlite_jax.report import __main__ as report
from pattlite_jax.report import runs
from pattlite_jax.report.rows import TABLES, Row


def run_result(published, alone, split="test"):
  return {
    "attention": "batch",
    "epochs": {"stage1": 3, "stage2": 1},
    "splits": {split: {"accuracy": alone}},
    "published_protocol": {"splits": {split: {"accuracy": published}}},
  }


@pytest.fixture
def results(tmp_path, monkeypatch):
  rows = (
    Row("a", "Set A", "configs/a.py", seeds=(0, 1), published=95.0),
    Row("b0", "Set B", "configs/b.py", seeds=(0,)),
    Row("b1", "Set B", "configs/b.py", seeds=(0,)),
    Row("c", "Set C", "configs/c.py", published=90.0),
  )
  monkeypatch.setitem(TABLES, "main", rows)
  (tmp_path / "main").mkdir()
  for name, published, alone in (
    ("a_seed0", 0.94, 0.75),
    ("a_seed1", 0.96, 0.77),
    ("b0_seed0", 0.5, 0.4),
  ):
    text = json.dumps(run_result(published, alone))
    (tmp_path / "main" / f"{name}.json").write_text(text)
  for name, split in (("a_seed1", "test"), ("b0_seed0", "validation")):
    text = json.dumps({"split": split, "across_batch": {"accuracy": 0.8}})
    (tmp_path / "main" / f"{name}_shuffled_32.json").write_text(text)
  return report.epath.Path(tmp_path)


def test_a_row_has_mean_and_deviation_over_its_runs(results):
  lines = runs.main_table(results)
  assert lines[2:] == [  # Shuffled figures of another split stay out.
    "| Set A | 95.00 | test | 95.00 ± 1.41 | 80.00 | 76.00 ± 1.41 | 2 of 2 |",
    "| Set B |  | test | 50.00 | not run | 40.00 | 1 of 2 |",
    "",
    "Not run yet: Set C.",
  ]


def test_ablations_are_of_one_image_at_a_time(tmp_path, monkeypatch):
  rows = (Row("a", "Net A", "configs/a.py"), Row("b", "Net B", "configs/b.py"))
  monkeypatch.setitem(TABLES, "ablations", rows)
  (tmp_path / "ablations").mkdir()
  text = json.dumps(run_result(0.9, 0.7))
  (tmp_path / "ablations" / "a_seed2.json").write_text(text)
  assert runs.ablation_table(report.epath.Path(tmp_path))[2:] == [
    "| Net A | test | 70.00 | 1 of 3 |",
    "",
    "Not run yet: Net B.",
  ]


@pytest.fixture
def row_results(tmp_path, monkeypatch):
  """Results of rows of the tables "best" and "ingredients"."""
  rows = tuple(
    Row(
      name,
      f"Recipe {name}",
      "configs/a.py",
      seeds=(0, 1),
      expected=70.0,
      compared_with=compared_with,
    )
    for name, compared_with in (
      ("whole", ""),
      ("less", "whole"),
      ("other", "whole"),
    )
  )
  for table in ("best", "ingredients"):
    monkeypatch.setitem(TABLES, table, rows)
    (tmp_path / table).mkdir()
    for name, accuracy in (
      ("whole_seed0", 0.7),
      ("whole_seed1", 0.72),
      ("less_seed0", 0.69),
    ):
      scores = {"accuracy": accuracy, "macro_f1": accuracy / 2}
      run = {"splits": {"validation": scores}}
      if name == "less_seed0":
        run["hours"] = 1.26
      text = json.dumps(run)
      (tmp_path / table / f"{name}.json").write_text(text)
  return report.epath.Path(tmp_path)


def test_the_best_table_names_split_and_runs(row_results):
  assert runs.best_table(row_results)[2:] == [
    "| Recipe whole | validation | 71.00 ± 1.41 | 35.50 ± 0.71 | 2 of 2 | "
    " | 70.00 |",
    "| Recipe less | validation | 69.00 | 34.50 | 1 of 2 | 1.3 | 70.00 |",
    "",
    "Not run yet: Recipe other.",
  ]


def test_ingredients_are_compared_with_the_row_they_change(row_results):
  assert runs.ingredient_table(row_results)[2:] == [
    "| Recipe whole | 71.00 ± 1.41 |  | 2 |  |",
    "| Recipe less | 69.00 | -2.00 | 1 | 1.3 |",
    "",
    "Not run yet: Recipe other.",
  ]


def test_validation_figures_are_called_so(results):
  text = json.dumps(run_result(0.9, 0.8, split="validation"))
  (results / "single.json").write_text(text)
  assert runs.single_runs(results)[2] == (
    "| [single](results/single.json) | batch | validation | 80.00 | 3 + 1 |"
  )


def test_tables_replace_what_stood_between_their_marks():
  text = "a\n<!-- main -->\nold\n<!-- end -->\nb\n<!-- leak -->\n<!-- end -->\n"
  once = report.insert(text, "main", ["| new |"])
  assert once.startswith("a\n<!-- main -->\n| new |\n<!-- end -->\nb\n")
  assert report.insert(once, "main", ["| new |"]) == once


def test_a_missing_mark_is_an_error():
  with pytest.raises(ValueError, match=r"0 places for the table 'main'"):
    report.insert("nothing", "main", [])


def test_the_leak_table_ends_with_images_one_at_a_time(tmp_path, monkeypatch):
  row = Row("net", "Net", "configs/a.py", seeds=(0,))
  monkeypatch.setitem(TABLES, "leak", (row,))
  (tmp_path / "leak").mkdir()
  result = {
    "split": "validation",
    "per_sample": {"accuracy": 0.5},
    "across_batch": {"accuracy": 0.9},
  }
  path = tmp_path / "leak/net_seed0_class_sorted_32.json"
  path.write_text(json.dumps(result))
  results = report.epath.Path(tmp_path)
  assert list(report.leak_scores(results)["Net"].items()) == [
    ("class-sorted, 32", 90.0),
    ("one at a time", 50.0),
  ]
  header, _, line, _, caption = report.leak_table(results)
  assert caption == "Scored split: validation."
  assert header.count("|") == line.count("|")
  assert line.startswith("| Net | 90.00 | not run |")
  assert line.endswith("| 50.00 |")


def test_challenge_subsets_are_scored_by_the_lists_labels(
  tmp_path, monkeypatch
):
  row = Row(
    "plus", "FER+", "c.py", seeds=(0, 1), published_subsets={"pose_30": 96.07}
  )
  monkeypatch.setitem(TABLES, "challenges", (row,))
  (tmp_path / "challenges").mkdir()
  scores = {
    "list_labels": {
      "per_sample": {"accuracy": 0.8},
      "across_batch": {"accuracy": 0.9},
    },
    "data_set_labels": {"per_sample": {"accuracy": 0.1}},
  }
  path = tmp_path / "challenges/plus_seed1_challenges.json"
  path.write_text(json.dumps({"challenges": {"pose_30": scores}}))
  lines = report.challenge_table(report.epath.Path(tmp_path))
  assert lines[2:] == ["| FER+, pose > 30 | 96.07 | 90.00 | 80.00 |"]


def test_a_table_without_any_run_is_a_line(tmp_path):
  lines = runs.ingredient_table(report.epath.Path(tmp_path))
  assert len(lines) == 2
  assert lines[1].startswith("Not run yet: the recipe; ImageNet's")
