"""The tables of what was measured once."""

import json

import pytest
from etils import epath

from pattlite_jax.report import tried
from pattlite_jax.runtime.errors import UserError

PAGE = {
  "chromium": "156.0",
  "picture": [1000, 700],
  "detection_ms": 230.4,
  "face_ms": 19.26,
  "bytes": 17_600_000,
  "compressed_bytes": 6_680_000,
}
OWN_DATA = {
  "classes": ["happy", "sad"],
  "train": 1384,
  "validation": {"num_examples": 66, "accuracy": 0.955},
  "test": {"num_examples": 300, "accuracy": 0.92},
  "test_before": {"num_examples": 300, "accuracy": 0.717},
  "seconds": 330,
  "cpu_seconds": 198,
}


def test_the_page_in_a_browser(tmp_path):
  assert tried.browser(epath.Path(tmp_path)) == []
  (tmp_path / "page.json").write_text(json.dumps(PAGE))
  *_, row = tried.browser(epath.Path(tmp_path))
  assert row == "| 156.0 | 1000x700 | 230 | 19.3 | 6.7 (17.6) |"


def test_own_folders(tmp_path):
  assert tried.own_data(epath.Path(tmp_path)) == []
  (tmp_path / "own_data.json").write_text(json.dumps(OWN_DATA))
  text = "\n".join(tried.own_data(epath.Path(tmp_path)))
  assert "| pictures | 1,384 train, 66 validation, 300 test |" in text
  assert "| minutes | 5.5, of a processor 3.3, preparing included |" in text
  assert "| accuracy, test | 92.00 % |" in text
  assert "among its 8 classes | 71.70 % |" in text


@pytest.mark.parametrize(
  "name, show, content",
  [
    ("page", tried.browser, PAGE | {"face_ms": None}),
    ("page", tried.browser, {}),
    ("own_data", tried.own_data, OWN_DATA | {"test": 0.9}),
  ],
)
def test_another_file_is_named(tmp_path, name, show, content):
  (tmp_path / f"{name}.json").write_text(json.dumps(content))
  with pytest.raises(UserError, match=rf"{name}.json is no result of"):
    show(epath.Path(tmp_path))
