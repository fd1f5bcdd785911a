import csv
import io
import json

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from pattlite_jax.predict import rows
from pattlite_jax.predict.photo import Face
from pattlite_jax.predict.rows import Result

NAMES = ("happiness", "=1+1", 'a, "b"\nc')


def face(*probabilities):
  values = np.array(probabilities, np.float32)
  return Face((-1.25, 2.0, 30.5, 40.0), (0, 1, 2, 3), 0.875, values, NAMES)


def read(text):
  return list(csv.reader(io.StringIO(text)))


def test_a_row_a_face():
  header, *found = read(
    rows.csv_header(NAMES)
    + rows.csv_rows(
      Result("a.png", [face(0.7, 0.2, 0.1), face(0.1, 0.6, 0.3)]), NAMES
    )
  )
  assert header == [
    *("file", "frame", "time_s", "face", "left", "top", "right", "bottom"),
    *("detection", "expression", "probability", "happiness", "'=1+1"),
    'a, "b"\nc',
  ]
  box = ["-1.2", "2.0", "30.5", "40.0", "0.8750"]
  shares = [
    ["0.700000", "0.200000", "0.100000"],
    ["0.100000", "0.600000", "0.300000"],
  ]
  assert found[0] == [
    *("a.png", "", "", "1", *box, "happiness", "0.700000", *shares[0])
  ]
  assert found[1][3:9] == ["2", *box]
  assert found[1][9:] == ["'=1+1", "0.600000", *shares[1]]


def test_frames_no_faces_and_reasons():
  frame = Result("v.mp4", [], 12, 0.5)
  (found,) = read(rows.csv_rows(frame, NAMES))
  assert found == ["v.mp4", "12", "0.500", "0", *[""] * 5, "no face", *[""] * 4]
  broken = Result("b.png", error="it is empty")
  (found,) = read(rows.csv_rows(broken, NAMES))
  assert found[9] == "unreadable: it is empty" and len(found) == 14


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\uff1d"])
def test_no_cell_is_a_formula(start):
  (found,) = read(rows.csv_rows(Result(f"{start}cmd|' /C calc'!A0"), NAMES))
  assert found[0] == f"'{start}cmd|' /C calc'!A0"


def test_a_spreadsheet_that_splits_elsewhere_makes_no_formula_of_a_name():
  """Excel splits at semicolons where the decimal mark is a comma."""
  for mark in ";\t":
    text = rows.csv_rows(Result(f"x{mark}=1+1{mark}.png"), NAMES)
    assert text.startswith(f'"x{mark}=1+1{mark}.png",')


@hypothesis.given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_name_comes_back_from_csv_and_json(name):
  hypothesis.assume("\0" not in name)
  (found,) = read(rows.csv_rows(Result(name), NAMES))
  assert found[0] in (name, f"'{name}")
  assert rows.cell(name) == found[0] and rows.text_of(found[0]) == name
  line = rows.json_line(Result(name), {})
  assert line.count("\n") == 1 and json.loads(line)["file"] == name


def test_json_holds_all_there_is():
  about = {"network": {"name": "ferplus"}, "detector": None}
  result = Result("v.mp4", [face(0.7, 0.2, 0.1)], 3, 0.12)
  line = json.loads(rows.json_line(result, about))
  assert line["network"] == {"name": "ferplus"} and line["detector"] is None
  assert (line["frame"], line["time_s"], line["error"]) == (3, 0.12, None)
  (found,) = line["faces"]
  assert found["box"] == [-1.25, 2.0, 30.5, 40.0]
  assert found["cut"] == [0, 1, 2, 3]
  assert found["expression"] == "happiness"
  assert list(found["probabilities"]) == list(NAMES)
