"""The bench's tables and picture, from results in a folder of the test."""

import dataclasses
import json
import pathlib

import pytest
from etils import epath

from pattlite_jax.report import lines, methods, page
from pattlite_jax.report import run as run_table
from pattlite_jax.report.rows_methods import METHODS, STEP_TIMES
from pattlite_jax.scoring import pictures

RECIPE = pathlib.Path(__file__).parents[2] / "configs/fer2013_bench.py"


def a_run(accuracy, across=None):
  figures = {"macro_f1": accuracy / 2, "num_examples": 3589}
  scores = {"per_sample": {"accuracy": accuracy, **figures}}
  if across is not None:
    scores["across_batch"] = {"accuracy": across, **figures}
  return {
    "dataset": "fer2013",
    "method": "baseline",
    "splits": {"validation": scores},
    "hours": 0.5,
  }


@pytest.fixture
def folder(tmp_path):
  """Returns a folder with the results of some rows, not of all."""
  results = epath.Path(tmp_path)

  def keep(name, found):
    (results / f"{name}.json").write_text(json.dumps(found))

  for seed, accuracy in enumerate((0.60, 0.62, 0.61)):
    keep(f"baseline_seed{seed}", a_run(accuracy))
    keep(f"baseline_seed{seed}_audit", {"batch_dependence": {"passed": True}})
  keep("eac_seed0", a_run(0.615))
  keep("dan_seed0", a_run(0.65))
  keep("arm_batch_seed0", a_run(0.55, across=0.91))
  keep("arm_batch_seed0_audit", {"batch_dependence": {"passed": False}})
  keep(
    "arm_batch_seed0_official_64",
    {
      "dataset": "fer2013",
      "method": "arm",
      "splits": {
        "test": {
          "per_sample": {"accuracy": 0.55, "macro_f1": 0.5},
          "across_batch": {"accuracy": 0.75, "macro_f1": 0.7},
        }
      },
    },
  )
  keep("baseline_noisy_seed0", a_run(0.50))
  keep("eac_noisy_seed0", a_run(0.54))
  keep("baseline_detector_seed0", a_run(0.58))
  steps = {
    "baseline": {"parameters": 825_543, "ms": 200.0},
    "dan": {"parameters": 3_000_000, "ms": 500.0},
  }
  keep(STEP_TIMES, {"steps": steps})
  return results


def cells(text):
  found = {}
  for line in text:
    if line.startswith("| ") and not line.startswith("| ---"):
      name, *rest = (cell.strip() for cell in line.split("|")[1:-1])
      found.setdefault(name, []).append(rest)
  return found


def test_each_data_set_has_its_table(folder):
  read = lines.read(folder, METHODS)
  text = methods.text(read, methods.step_times(folder))
  titles = [line for line in text if line.startswith("###")]
  assert titles == [
    "### FER2013",
    "### FER2013, 20 % of the training labels wrong",
    "### FER2013, after WIDER FACE in place of ImageNet (other face data)",
    "### By order of the images, and images in a batch",
  ]
  rows = cells(text)
  names = dict(zip(rows["method"][0], range(99), strict=False))

  def cell(name, column, which=0):
    return rows[name][which][names[column]]

  assert cell("baseline", "accuracy") == "61.00 ± 1.00"
  assert cell("baseline", "against the baseline") == ""
  assert cell("baseline", "runs") == "3 of 3"
  assert cell("baseline", "audit") == "passed"
  assert cell("baseline", "parameters") == "825,543"
  dan = "dan, 64 channels in a head"
  assert cell(dan, "against the baseline") == "+4.00"
  assert cell(dan, "step / baseline's") == "2.50"
  assert cell(dan, "runs") == "1 of 3"
  eac = cell("eac", "against the baseline")
  assert eac == "+0.50, within one standard error"
  arm = "arm, sharing over the batch"
  assert cell(arm, "across the batch, as published") == "91.00"
  assert cell(arm, "audit") == "depends on the batch"
  assert cell("eac", "against the baseline", 1) == "+4.00"
  detector = "baseline, trunk of a face detector"
  assert cell(detector, "against the baseline") == "-3.00"
  by_order = dict(zip(rows["method"][3], rows[arm][1], strict=True))
  assert by_order["official, 64"] == "75.00" and by_order["shuffled, 8"] == ""
  assert any("Not run yet: pattlite;" in line for line in text)
  # 0.65 is 4 points above, 0.615 half a point, 0.55 6 points below.
  assert (
    "Better than the baseline by one standard error or more: "
    f"{dan}. Within one: eac. Worse: {arm}."
  ) in text


def test_each_method_has_its_rows_of_all_data_sets(folder):
  found = methods.by_method(lines.read(folder, METHODS))
  assert list(found) == ["baseline", "arm", "dan", "eac"]
  rows = cells(found["eac"])
  assert rows["eac: FER2013"] == [["61.50", "61.00 ± 1.00", ""]]
  noisy = "eac: FER2013, 20 % of the training labels wrong"
  assert rows[noisy] == [["54.00", "50.00", ""]]
  (arm,) = cells(found["arm"])["arm, sharing over the batch: FER2013"]
  assert arm[-1] == "depends on the batch"


def test_before_any_run_there_is_no_table(tmp_path):
  read = lines.read(epath.Path(tmp_path), METHODS)
  assert methods.text(read, {}) == methods.first(read) == []
  assert methods.by_method(read) == {}
  assert methods.accuracies(read) == {}
  assert "methods" not in page.readme_tables(epath.Path(tmp_path))


def test_the_picture_has_every_method_with_its_error(folder, tmp_path):
  found = methods.accuracies(lines.read(folder, METHODS))
  assert found["baseline"] == pytest.approx((61.0, 1.0))
  assert found["eac"] == pytest.approx((61.5, 0.812), abs=1e-3)
  figure = pictures.methods(found)
  (ax,) = figure.axes
  labels = [label.get_text() for label in ax.get_yticklabels()]
  assert labels[-1].startswith("dan") and len(labels) == 4
  pictures.save(figure, epath.Path(tmp_path) / "methods.png")
  assert (tmp_path / "methods.png").stat().st_size > 1000


def test_a_verdict_is_no_failure(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (row,) = [row for row in METHODS if row.name == "arm_batch"]
  ran = []

  def start(command):
    ran.append(command)
    if "pattlite_jax.audit" in command:
      epath.Path(command[-1].partition("=")[2]).write_text("{}")
      return 1
    workdir = next(a for a in command if a.startswith("--config.workdir="))
    folder = epath.Path(workdir.partition("=")[2])
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("{}")
    return 0

  failures = run_table.run(
    "methods",
    [dataclasses.replace(row, scorings=(), config=str(RECIPE))],
    "test",
    ["--config.data.packed=f.npz"],
    dry_run=False,
    start=start,
  )
  assert [command[2] for command in ran] == [
    "pattlite_jax.main",
    "pattlite_jax.audit",
  ]
  assert failures == 0
