"""The tables of how fast images are read."""

import json

import pytest
from etils import epath

from pattlite_jax.report import input_sets
from pattlite_jax.runtime.errors import UserError


def _reader(images_are, cores, a_core, peak):
  return {
    "images_are": images_are,
    "cores": cores,
    "images_per_second": a_core * cores,
    "images_per_core_second": a_core,
    "seconds_to_first_batch": 1.25,
    "peak_mb": peak,
  }


@pytest.fixture
def results(tmp_path):
  own = {
    "images": 1000,
    "size": 224,
    "jpeg_bytes": 2_000_000,
    "prepared": {"seconds": 4, "images_per_second": 250, "bytes": 3_000_000},
    "readers": [
      _reader("in memory", 1, 9000, 700),
      _reader("on disk", 1, 3000, 500),
      _reader("on disk", 2, 2000, 600),
    ],
    "random_access": {"index": 8000, "ArrayRecord": 4000},
  }
  small = {**own, "size": 64, "readers": [_reader("on disk", 1, 1, 1)]}
  many = {**own, "images": 9000, "readers": [_reader("on disk", 1, 2500, 650)]}
  step = {"images_a_chip": 64, "images_per_second": 24000, "bytes": 3072e6}
  tpu = {
    "chips": 4,
    "image_size": 112,
    "programs": {"train step, stage1": step},
  }
  (tmp_path / "input").mkdir()
  (tmp_path / "input" / "a.json").write_text(
    json.dumps({"input_sets": [own, many]})
  )
  (tmp_path / "input" / "b.json").write_text(
    json.dumps({"input_sets": [small]})
  )
  (tmp_path / "tpu_compile.json").write_text(json.dumps({"after": tpu}))
  return epath.Path(tmp_path)


def test_all_sets_and_ways_to_read_them(results):
  text = "\n".join(input_sets.text(results))
  assert "| 1,000 | 224 | 2 | 3 | 4 | 250 | 8,000 | 4,000 |" in text
  assert "| 1,000 | 224 | on disk | 2 | 4,000 | 2,000 | 1.2 | 600 |" in text
  assert "| 1,000 | 64 | on disk | 1 | 1 | 1 | 1.2 | 1 |" in text


def test_how_much_memory_more_images_take(results):
  lines = input_sets.text(results)
  found = [line for line in lines if "more memory" in line]
  assert found == [
    "From disk, 9,000 JPEGs of 224 pixels take 50 MB more memory than 1,000."
  ]


def test_the_cores_are_those_of_the_largest_images_on_disk(results):
  text = "\n".join(input_sets.text(results))
  assert "JPEGs of 224 pixels from disk" in text
  # 24,000 / 4 chips = 6,000 images/s, by 2,500 a core.
  assert "the compiler's estimate | 6,000 | 2.4 |" in text
  # 64 images take 3,072 MB, and 4.8 TB pass in a second.
  assert "by the bytes of that program | 100,000 | 40 |" in text


def test_nothing_measured_is_no_table(tmp_path):
  assert input_sets.text(epath.Path(tmp_path)) == []


@pytest.mark.parametrize("content", [{}, {"input_sets": [{"images": 1}]}])
def test_another_file_is_named(tmp_path, content):
  (tmp_path / "input").mkdir()
  (tmp_path / "input" / "a.json").write_text(json.dumps(content))
  with pytest.raises(UserError, match=r"input.* lacks"):
    input_sets.text(epath.Path(tmp_path))
