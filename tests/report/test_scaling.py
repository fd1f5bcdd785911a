"""The table of a step on more and more chips."""

import json

import pytest
from etils import epath

from pattlite_jax.report import scaling
from pattlite_jax.runtime.errors import UserError


def write(folder, images, step_ms):
  program = {
    "images_a_chip": images,
    "step_ms": step_ms,
    "collectives": [{"kind": "all-reduce", "count": 50, "bytes": 8_000_000}],
  }
  (folder / "tpu").mkdir(exist_ok=True)
  (folder / "tpu" / f"{images}.json").write_text(
    json.dumps({"programs": {"train step, stage1": program}})
  )


def cells(line):
  return [cell.strip() for cell in line.split("|")[1:-1]]


def test_what_is_fixed_and_what_an_image_takes(tmp_path):
  assert scaling.read(epath.Path(tmp_path)) is None
  write(tmp_path, 64, 4.2)
  write(tmp_path, 16, 1.8)
  step = scaling.read(epath.Path(tmp_path))
  assert step.fixed == pytest.approx(1e-3)
  assert step.an_image == pytest.approx(5e-5)
  said, _, _, _, one, four, *_, most = scaling.table(step)
  assert said.startswith("A step takes 1.00 ms whatever the batch, and 50.0 µs")
  assert cells(one)[4:] == ["15,238", "100%", "64", "4.20", "100%"]
  # 8 MB, twice, by 200 GB/s, of which 3/4 go to others; 50 ways of 2 x 2 hops.
  assert cells(four)[2:4] == ["0.060", "0.20"]
  # 256 images in 4.2 + 0.26 ms; 16 images in 1.8 + 0.26 ms.
  assert cells(four)[4:] == ["57,399", "94%", "16", "2.06", "51%"]
  # Rings: at most 8 hops there, and 8 back, along each side.
  assert cells(most)[3] == "1.60" and cells(most)[-1] == "none"


def test_one_size_says_nothing(tmp_path):
  write(tmp_path, 64, 4.2)
  (tmp_path / "tpu" / "again.json").write_text(
    (tmp_path / "tpu" / "64.json").read_text()
  )
  with pytest.raises(UserError, match="of two batch sizes"):
    scaling.read(epath.Path(tmp_path))
