"""The benchmark command, on what is installed here."""

import contextlib
import json
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
from absl import flags

from pattlite_jax.benchmark import __main__ as benchmark
from pattlite_jax.benchmark import (
  computations,
  input_set,
  ours,
  page,
  recipe_time,
  work,
  workers,
)
from pattlite_jax.runtime.errors import UserError


def run(*flags):
  return subprocess.run(
    [sys.executable, "-m", "pattlite_jax.benchmark", *flags],
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.mark.long
@pytest.mark.slow
def test_forward_against_keras(tmp_path):
  """Also holds both sides to the same probabilities: the command checks."""
  pytest.importorskip("keras")
  done = run(
    "--what=forward",
    "--batch_sizes=1",
    "--peers=keras",
    "--rounds=3",
    "--seconds=0.05",
    f"--json={tmp_path}/bench.json",
    f"--png={tmp_path}/bench.png",
  )
  assert done.returncode == 0, done.stderr
  result = json.loads((tmp_path / "bench.json").read_text())
  (entry,) = result["computations"]["forward"]
  ours, keras = entry["ours"]["ms"], entry["keras"]["ms"]
  assert 0 < ours < 1000
  assert entry["ratio"] == pytest.approx(ours / keras)
  assert result["git_revision"] is None or len(result["git_revision"]) >= 40
  assert "| forward | 1 |" in done.stdout
  assert (tmp_path / "bench.png").stat().st_size > 1000
  assert not (tmp_path / "bench.json.part").exists()


class FailingAtTwo(workers.Worker):
  """A side without a process, which cannot prepare a batch of two."""

  def __init__(self):
    pass

  def prepare(self, what, batch_size):
    if batch_size == 2:
      raise UserError("The second cannot be compiled.")
    return np.full((batch_size, 8), 1 / 8)

  def seconds(self, count):
    return 1e-3


def test_what_is_measured_outlives_a_failure(tmp_path, monkeypatch):
  monkeypatch.setattr(
    workers,
    "open_workers",
    lambda *_: contextlib.nullcontext({workers.OURS: FailingAtTwo()}),
  )
  given = flags.FlagValues()
  benchmark.define_flags(given)
  path = tmp_path / "bench.json"
  words = ["--what=forward", "--peers=", "--batch_sizes=1,2", f"--json={path}"]
  given(["benchmark", *words, "--rounds=3", "--seconds=0.01"])
  with pytest.raises(SystemExit):
    benchmark.main(["benchmark"], given)
  assert not path.exists()
  kept = json.loads((tmp_path / "bench.json.part").read_text())
  (entry,) = kept["computations"]["forward"]
  assert entry["batch_size"] == 1
  assert entry["ours"]["ms"] == pytest.approx(1.0)
  assert "machine" in kept


@pytest.mark.slow
def test_sides_that_compute_different_networks_are_refused():
  faces, right = work.draw_faces(8, work.IMAGE_SIZE), work.make_work("float32")
  _, expected = ours.Side(right).forward(faces)
  assert np.ptp(expected, axis=0).max() > 1e-3  # Images differ,
  assert np.ptp(expected, axis=1).max() > 0.2  # and classes.
  computations.require_same({"ours": expected, "keras": expected}, 1e-4)

  for name in ("conv_dw_2", "conv_dw_8"):
    wrong = work.make_work("float32")
    kernel = wrong.variables["params"]["trunk"][name]
    kernel["kernel"] = kernel["kernel"][::-1]  # A convolution, turned over.
    _, other = ours.Side(wrong).forward(faces)
    with pytest.raises(ValueError, match="keras computes another network"):
      computations.require_same({"ours": expected, "keras": other}, 1e-4)


@pytest.mark.parametrize(
  ("flag", "words"),
  [
    (
      "--what=forwards",
      "forward, train_step, input, startup, recipe, export, input_set, video",
    ),
    ("--batch_sizes=8,x", "whole numbers"),
    ("--batch_sizes=0", "whole numbers"),
    ("--peers=tf", "keras, torch, torch_compile, onnxruntime"),
  ],
)
def test_wrong_flags_say_what_is_right(flag, words):
  done = run(flag)
  assert done.returncode != 0
  assert words in done.stdout + done.stderr


def test_the_table_leaves_out_what_was_not_measured():
  times = {"ms": 2.0, "ms_low": 1.0, "ms_high": 3.0}
  result = {
    "computations": {
      "forward": [
        {"batch_size": 1, "ours": times, "keras": times, "ratio": 1.0}
      ],
      "stage1": [{"batch_size": 8, "ours": times}],
    }
  }
  assert page.table(result)[2:] == [
    "| forward | 1 | 2.0 | 2.0 | **1.00** |  |",
    "| train step, trunk frozen | 8 | 2.0 |  |  |  |",
  ]


@pytest.mark.slow
def test_the_recipe_is_timed_beside_the_largest_product(monkeypatch):
  small = {24: {"cut": "conv_pw_1_relu", "patch_stride": 1}}
  monkeypatch.setattr(recipe_time, "SIZES", small)
  monkeypatch.setattr(recipe_time, "_SIDE", 64)
  found = recipe_time.measure(rounds=3, seconds=0.01)
  (step,) = found["steps"]
  assert (step["image_size"], step["batch_size"]) == (24, 64)
  # Of conv1, depthwise and pointwise 1 alone, forwards, at 12 x 12 places.
  assert step["flop"] > 2 * 64 * 144 * (27 * 32 + 9 * 32 + 32 * 64)
  seconds = step["ms"] / 1e3
  assert step["images_per_second"] == pytest.approx(64 / seconds)
  share = step["flop"] / seconds / found["peak_flop_per_second"]
  assert step["share_of_peak"] == pytest.approx(share)
  assert page.recipe_table(found)[2].startswith("| 24 pixels | 64 | ")


def test_a_video_is_read_both_ways(monkeypatch):
  pytest.importorskip("cv2")
  pytest.importorskip("onnxruntime")
  from pattlite_jax.benchmark import video_time

  monkeypatch.setattr(video_time, "FRAMES", 6)
  found = video_time.measure(2)  # An error unless both find all faces.
  assert found["frames"] == 6
  assert found["frames_per_second"].keys() == {"predict", "by hand"}
  assert "with one face: `predict`" in page.video_line(found)


def test_a_made_set_has_the_images_that_it_is_asked_for(tmp_path):
  written = input_set.write(tmp_path, 10, 16)
  files = list(tmp_path.rglob("*.jpg"))
  assert len(list(tmp_path.glob("train/*/*.jpg"))) == 10
  assert {path.parent.name for path in files} == set("0123456")
  assert written == sum(path.stat().st_size for path in files)
  assert PIL.Image.open(files[0]).size == (16, 16)


@pytest.mark.long
@pytest.mark.slow
def test_a_made_set_is_timed_in_memory_and_on_disk():
  (entry,) = input_set.measure([40], 16, 8, 0.2)
  assert [(r["images_are"], r["cores"]) for r in entry["readers"]] == [
    ("in memory", 1),
    ("in memory", 2),
    ("on disk", 1),
    ("on disk", 2),
  ]
  for own in (entry["prepared"], *entry["readers"]):
    assert own["images_per_second"] > 1
    assert own["images_per_core_second"] > 1
  assert entry["prepared"]["bytes"] > entry["jpeg_bytes"] > 10_000
  assert {"index into TFRecord", "tf.io.read_file"} <= set(
    entry["random_access"]
  )
  lines = page.input_set_lines(entry)
  assert lines[0].startswith("40 JPEGs of 16 pixels, 0 MB: prepared in ")
  assert len([line for line in lines if line.startswith("| on disk")]) == 2


@pytest.mark.long
@pytest.mark.slow
def test_exported_files_are_timed(tmp_path):
  for package in ("onnx", "onnxruntime"):
    pytest.importorskip(package)
  done = run(
    "--what=export",
    "--batch_sizes=1,3",
    "--rounds=3",
    "--seconds=0.01",
    f"--json={tmp_path}/bench.json",
  )
  assert done.returncode == 0, done.stderr
  jax, *files = json.loads((tmp_path / "bench.json").read_text())["export"]
  assert jax["file"].startswith("JAX") and len(files) == 7
  for entry in files:
    assert entry["bytes"] > 1e6
    one, three = entry["times"]
    assert 0 < one["ms"] < three["ms"]
    if "float32" in entry["file"] or "stablehlo" in entry["file"]:
      assert entry["largest_difference"] <= 1e-5
    assert f"| {entry['file']} | {entry['bytes']:,} |" in done.stdout
