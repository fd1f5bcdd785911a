"""The tables, from results in a folder of the test."""

import dataclasses
import json
import pathlib
import statistics

import pytest
from etils import epath

from pattlite_jax.report import lines, write
from pattlite_jax.report.row import LEAK_SCORINGS, SHUFFLED, Row
from pattlite_jax.report.rows import TABLES
from pattlite_jax.weights import model_folder

BEST = pathlib.Path(__file__).parents[2] / "results/best"


def figures(accuracy):
  return {"accuracy": accuracy, "macro_f1": accuracy / 2}


def a_run(alone, mixed=None, split="test", **fields):
  scores = {"per_sample": figures(alone)}
  if mixed is not None:
    scores["across_batch"] = {"order": "class_sorted", **figures(mixed)}
  return {
    "dataset": "fer2013",
    "rule": None,
    "method": "pattlite",
    "attention": "batch",
    "epochs": {"stage1": 3, "stage2": 1},
    "splits": {split: scores},
    **fields,
  }


@pytest.fixture
def keep(tmp_path):
  """Returns the folder and keep(name, result), which writes a file to it."""

  def keep(name, result):
    (tmp_path / f"{name}.json").write_text(json.dumps(result))

  return epath.Path(tmp_path), keep


def cells(table):
  """Returns {label: {column: cell}}, and what is named below the table."""
  split = [[c.strip() for c in x.split("|")[1:-1]] for x in table if "|" in x]
  header, _, *rows = split
  assert all(len(row) == len(header) for row in split)
  found = {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}
  return found, " ".join(x for x in table if "|" not in x)


def test_a_row_has_mean_and_deviation_over_its_runs(keep):
  folder, keep = keep
  rows = (
    Row("a", "Set A", "a.py", seeds=(0, 1), published=95.0),
    Row("b0", "Set B", "b.py", seeds=(0,)),
    Row("b1", "Set B", "b.py", seeds=(0,)),
    Row("c", "Set C", "c.py", published=90.0),
  )
  rows = [dataclasses.replace(row, scorings=(SHUFFLED,)) for row in rows]
  keep("a_seed0", a_run(0.75, 0.94))
  keep("a_seed1", a_run(0.77, 0.96))
  keep("b0_seed0", a_run(0.4, 0.5))
  keep("a_seed1_shuffled_32", a_run(0.1, 0.8))
  # A figure of another split stays out.
  keep("b0_seed0_shuffled_32", a_run(0.1, 0.8, split="validation"))
  found, below = cells(write.as_published(lines.read(folder, rows)))
  assert found == {
    "Set A": {
      "published": "95.00",
      "split": "test",
      "as published, reproduced": "95.00 ± 1.41",
      "shuffled": "80.00",
      "one at a time": "76.00 ± 1.41",
      "runs": "2 of 2",
    },
    "Set B": {
      "published": "",
      "split": "test",
      "as published, reproduced": "50.00",
      "shuffled": "",
      "one at a time": "40.00",
      "runs": "1 of 2",
    },
  }
  assert "Set C" in below and "Set A" not in below


def test_a_table_without_any_result_is_nothing(keep):
  folder, _ = keep
  for name, show in (
    ("best", write.best),
    ("ingredients", write.ingredients),
    ("heads", write.heads),
    ("main", write.as_published),
    ("leak", write.leak),
    ("ablations", write.ablations),
    ("best", write.networks),
  ):
    assert show(lines.read(folder, TABLES[name])) == []
  subsets = lines.read_subsets(folder, TABLES["challenges"])
  assert subsets and write.challenges(subsets) == []
  assert write.single_runs(lines.read_single(folder, "results")) == []
  assert write.speed(folder, "gpu") == []


def test_ablations_are_of_one_image_at_a_time(keep):
  folder, keep = keep
  keep("a_seed2", a_run(0.7, 0.9))
  rows = [Row("a", "Net A", "a.py"), Row("b", "Net B", "b.py")]
  found, below = cells(write.ablations(lines.read(folder, rows)))
  assert found == {
    "Net A": {"split": "test", "one at a time": "70.00", "runs": "1 of 3"}
  }
  assert "Net B" in below


@pytest.fixture
def recipes(keep):
  """Lines of a recipe with two changes, of which one was run."""
  folder, keep = keep
  rows = [
    Row(
      name,
      f"Recipe {name}",
      "a.py",
      seeds=(0, 1),
      compared_with=compared_with,
      change=f"what {name} changes",
      ships_as=ships_as,
    )
    for name, compared_with, ships_as in (
      ("whole", "", "fer2013"),
      ("less", "whole", ""),
      ("other", "whole", ""),
    )
  ]
  keep("whole_seed0", a_run(0.7, split="validation"))
  keep("whole_seed1", a_run(0.72, split="validation"))
  keep("less_seed0", a_run(0.69, split="validation", hours=1.26))
  return lines.read(folder, rows)


def test_the_best_table_names_split_runs_and_training(recipes):
  found, below = cells(write.best(recipes))
  assert found["Recipe whole"] == {
    "training": "what whole changes",
    "split": "validation",
    "accuracy": "71.00 ± 1.41",
    "macro F1": "35.50 ± 0.71",
    "runs": "2 of 2",
    "hours a run": "",
  }
  assert found["Recipe less"]["hours a run"] == "1.3"
  assert "Recipe other" in below


def test_ingredients_are_compared_with_the_row_they_change(recipes):
  found, _ = cells(write.ingredients(recipes))
  assert found["Recipe whole"]["difference"] == ""
  assert found["Recipe less"]["difference"] == "-2.00"
  assert found["Recipe less"]["validation accuracy"] == "69.00"


def test_the_networks_of_the_package_have_validation_figures(recipes):
  found, _ = cells(write.networks(recipes))
  assert found == {
    '`load("fer2013")`': {
      "trained on": "FER2013",
      "validation accuracy": "71.0 ± 1.4 %",
      "macro F1": "35.5 ± 0.7",
      "seeds": "2",
      "size": "4.4 MB",
    }
  }


def test_the_protocol_table_has_the_same_weights_three_times(keep):
  folder, keep = keep
  row = Row("plus", "FER+", "c.py", seeds=(0,), scorings=(SHUFFLED,))
  keep("plus_seed0", a_run(0.75, 0.94, split="validation"))
  keep("plus_seed0_shuffled_32", a_run(0.75, 0.76, split="validation"))
  found, _ = cells(write.protocol(lines.read(folder, [row])))
  assert list(*[own.values() for own in found.values()]) == [
    "94.0 %",
    "76.0 %",
    "75.0 %",
  ]
  assert list(found) == ["FER+, validation"]


def test_a_network_ships_in_one_row():
  shipped = [row.ships_as for row in TABLES["best"] if row.ships_as]
  assert sorted(shipped) == ["fer2013", "ferplus"]


@pytest.mark.parametrize(
  "row", [row for row in TABLES["best"] if row.ships_as], ids=lambda r: r.name
)
def test_the_seed_of_median_accuracy_ships(row):
  results = {
    seed: json.loads((BEST / f"{row.name}_seed{seed}.json").read_text())
    for seed in row.seeds
  }
  assert len(results) % 2  # Else no seed is the median.
  accuracies = {
    seed: result["splits"]["validation"]["per_sample"]["accuracy"]
    for seed, result in results.items()
  }
  assert accuracies[row.shipped_seed] == statistics.median(accuracies.values())
  folder = model_folder.find(row.ships_as)
  training = json.loads((folder / model_folder.CONFIG).read_text())["training"]
  shipped = results[row.shipped_seed]
  for field in ("seed", "git_revision", "taught_by", "device"):
    assert training[field] == shipped[field]


def test_validation_figures_are_called_so(keep):
  folder, keep = keep
  keep("single", a_run(0.8, 0.9, split="validation"))
  keep("bench_cpu_avx2", {"computations": {}})
  found, _ = cells(write.single_runs(lines.read_single(folder, "../results")))
  assert found == {
    "[single](../results/single.json)": {
      "network": "pattlite with attention batch",
      "split": "validation",
      "one at a time": "80.00",
      "epochs (stage 1 + 2)": "3 + 1",
    }
  }


def test_each_kind_of_cpu_has_its_own_speeds(keep):
  folder, keep = keep
  for kind in ("avx512f", "avx2"):
    keep(
      f"bench_cpu_{kind}",
      {
        "machine": f"one with {kind}",
        "device": "1 x cpu",
        "dtype": "float32",
        "computations": {},
      },
    )
  found = write.speeds_of_cpus(folder)
  heads = [line for line in found if line.startswith("### ")]
  assert heads == ["### A CPU with avx2", "### A CPU with avx512f"]
  assert found.index("one with avx2, 1 x cpu, float32") < found.index(heads[1])
  assert found[-1] == (
    "![Time against batch size](../results/bench_cpu_avx512f.png)"
  )


def test_the_leak_table_ends_with_images_one_at_a_time(keep):
  folder, keep = keep
  rows = [
    Row(name, name, "a.py", seeds=(0,), scorings=LEAK_SCORINGS)
    for name in ("mixing", "alone", "missing")
  ]
  keep("mixing_seed0_class_sorted_32", a_run(0.5, 0.9, split="validation"))
  keep("alone_seed0_class_sorted_32", a_run(0.6, split="validation"))
  found = lines.read(folder, rows)
  assert {k: list(v.items()) for k, v in write.leak_scores(found).items()} == {
    "mixing": [("class-sorted, 32", 90.0), ("one at a time", 50.0)],
    "alone": [("class-sorted, 32", 60.0), ("one at a time", 60.0)],
  }
  table, below = cells(write.leak(found))
  assert list(table["mixing"])[-1] == "one at a time"
  assert table["mixing"]["class-sorted, 32"] == "90.00"
  assert table["mixing"]["shuffled, 8"] == ""
  assert table["mixing"]["split"] == "validation"
  assert "missing" in below


def test_challenge_subsets_are_scored_by_the_lists_labels(keep):
  folder, keep = keep
  (row, *_) = TABLES["challenges"]
  row = dataclasses.replace(row, published_subsets={"pose_30": 96.07})
  result = a_run(0.3)
  result["splits"]["test"]["challenges"] = {
    "pose_30": {
      "list_labels": a_run(0.8, 0.9)["splits"]["test"],
      "data_set_labels": a_run(0.1)["splits"]["test"],
    }
  }
  keep(f"{row.name}_seed1_challenges", result)
  found, _ = cells(write.challenges(lines.read_subsets(folder, [row])))
  assert found == {
    "FER+ (majority), pose > 30": {
      "published": "96.07",
      "as published, reproduced": "90.00",
      "one at a time": "80.00",
    }
  }
