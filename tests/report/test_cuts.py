"""The tables of what a cut costs."""

import json

import pytest
from etils import epath

from pattlite_jax.report import cuts
from pattlite_jax.runtime.errors import UserError


@pytest.fixture
def folder(tmp_path):
  side = {
    "detector": "BlazeFace",
    "faces": 2000,
    "found": 1500,
    "accuracy_uncut": 0.9,
    "accuracy_by_side": {"1.0": 0.8, "1.3": 0.75},
  }
  shape = {
    "accuracy_by_shape": {"0.6 of the width": {"stretched": 0.5, "cut": 0.625}}
  }
  (tmp_path / "ferplus.json").write_text(json.dumps(side))
  (tmp_path / "fer2013_shape.json").write_text(json.dumps(shape))
  return epath.Path(tmp_path)


def test_a_line_a_side(folder):
  lines = cuts.sides(folder)
  assert lines[0].startswith("`ferplus`: 1,500 of 2,000 validation faces")
  assert "| the data set's own | 90.0 |" in lines
  assert "| 1.3 x the box's mean side | 75.0 |" in lines


def test_a_line_a_shape(folder):
  assert cuts.shapes(folder) == [
    "| network | what is left of the face | stretched | cut |",
    "| --- | --- | --- | --- |",
    "| `fer2013` | 0.6 of the width | 50.0 | 62.5 |",
  ]


def test_without_results_there_is_no_table(tmp_path):
  assert cuts.sides(epath.Path(tmp_path)) == []
  assert cuts.shapes(epath.Path(tmp_path)) == []


def test_another_file_is_named(folder):
  (folder / "ferplus.json").write_text("{}")
  with pytest.raises(UserError, match=r"ferplus.json lacks accuracy_by_side"):
    cuts.sides(folder)
