"""The page: its files, and what it shows in a real browser."""

import importlib.util
import json
import pathlib
import shutil
import subprocess

import numpy as np
import PIL.Image
import pytest

import pattlite_jax
from pattlite_jax.data.drawing import face
from pattlite_jax.page import measure, runtime_files, write
from pattlite_jax.runtime.errors import UserError

HERE = pathlib.Path(__file__).parent
# `npm install playwright-core onnxruntime-web@1.30.0` in the checkout.
MODULES = HERE.parents[1] / "node_modules"
WEB = pathlib.Path(write.__file__).parent / "web"


def test_a_runtime_that_is_not_there_is_one_line(tmp_path):
  with pytest.raises(UserError, match=r"no ort\.wasm\.min\.mjs in"):
    runtime_files.read(str(tmp_path))
  (tmp_path / "dist").mkdir()
  for name in runtime_files.FILES:
    (tmp_path / "dist" / name).write_bytes(name.encode())
  found = runtime_files.read(str(tmp_path))
  assert found == {name: name.encode() for name in runtime_files.FILES}
  (tmp_path / "dist" / runtime_files.FILES[2]).unlink()
  with pytest.raises(UserError, match=r"no ort-wasm-simd-threaded\.wasm"):
    runtime_files.read(str(tmp_path))


def test_files_of_others_are_not_mixed_with_the_page(tmp_path):
  (tmp_path / "mine.txt").touch()
  with pytest.raises(UserError, match="choose a new folder"):
    write.write("ferplus", str(tmp_path), None)


@pytest.mark.parametrize("out", ["https://x.org/page", "gs://bucket/page"])
def test_a_page_is_written_to_a_folder_of_this_machine(out):
  with pytest.raises(UserError, match="of this machine"):
    write.write("ferplus", out, None)


def test_the_page_allows_itself_nothing_from_elsewhere():
  page = (WEB / "index.html").read_text()
  assert "default-src 'none'" in page and "unsafe-inline" not in page
  for path in WEB.iterdir():
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert "http:" not in text and "https:" not in text, path
    assert "style=" not in text and "onclick=" not in text, path
  assert "Article 5(1)(f)" in page


NEEDS = {
  "node": shutil.which("node"),
  "chromium": shutil.which("chromium"),
  "playwright-core": (MODULES / "playwright-core").is_dir(),
  "onnxruntime-web": (MODULES / "onnxruntime-web").is_dir(),
  "onnx": importlib.util.find_spec("onnx"),
}
MISSING = ", ".join(name for name, found in NEEDS.items() if not found)
in_a_browser = pytest.mark.skipif(
  bool(MISSING), reason=f"There is no {MISSING}; see MODULES in this file."
)


@pytest.mark.skipif(not NEEDS["node"], reason="There is no node.")
def test_pixels_are_resized_as_pillow_resizes_them():
  """To the bit: smaller, larger, stretched, and a region between pixels."""
  pixels = np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)
  picture = PIL.Image.fromarray(pixels)
  bilinear = PIL.Image.Resampling.BILINEAR
  box = (3.3, 0.7, 44.1, 37.0)
  jobs = {
    '["grey"]': picture.convert("L"),
    '["reduce", 4]': picture.reduce(4),
    '["resize", [12, 9]]': picture.resize((12, 9), bilinear),
    '["resize", [71, 80]]': picture.resize((71, 80), bilinear),
    '["resize", [50, 11]]': picture.resize((50, 11), bilinear),
    f'["resize", [20, 48], {list(box)}]': picture.resize(
      (20, 48), bilinear, box=box
    ),
  }
  given = {
    "width": 50,
    "height": 37,
    "data": pixels.ravel().tolist(),
    "jobs": list(map(json.loads, jobs)),
  }
  done = subprocess.run(
    ["node", HERE / "resize.mjs", WEB / "pixels.js"],
    input=json.dumps(given),
    capture_output=True,
    text=True,
    check=True,
  )
  for (job, right), found in zip(
    jobs.items(), json.loads(done.stdout), strict=True
  ):
    assert found == np.asarray(right).ravel().tolist(), job


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
  """A photograph in the public domain, drawn faces, and an empty picture."""
  data = pytest.importorskip("skimage.data")
  folder = tmp_path_factory.mktemp("pictures")
  rng = np.random.default_rng(3)
  canvas = np.full((700, 1000, 3), 200, np.uint8)
  for k in range(2):
    drawn = PIL.Image.fromarray(face.draw_face(rng, 3 * k)[..., 0])
    canvas[150:500, 80 + 480 * k : 430 + 480 * k] = np.asarray(
      drawn.resize((350, 350), PIL.Image.Resampling.BICUBIC)
    )[..., None]
  made = {
    "astronaut": data.astronaut(),
    "drawn": canvas,
    "empty": np.full((90, 120, 3), 128, np.uint8),
  }
  for name, pixels in made.items():
    PIL.Image.fromarray(pixels).save(folder / f"{name}.png")
  return {name: folder / f"{name}.png" for name in made}


@pytest.fixture(scope="module")
def shown(pictures, tmp_path_factory):
  """What the page shows of the pictures, in their order."""
  folder = tmp_path_factory.mktemp("page")
  transfer = write.write("ferplus", str(folder), str(MODULES))
  with measure.served(str(folder)) as url:
    done = subprocess.run(
      [
        "node",
        HERE / "browse.mjs",
        MODULES,
        shutil.which("chromium"),
        url,
        tmp_path_factory.mktemp("screenshots"),
        *pictures.values(),
      ],
      capture_output=True,
      text=True,
      check=False,
      timeout=400,
    )
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout) | {"compressed": transfer.compressed}


@pytest.mark.slow
@in_a_browser
def test_the_page_finds_what_python_finds(shown, pictures):
  classify = pattlite_jax.load("ferplus")
  counts = []
  for seen, path in zip(shown["seen"], pictures.values(), strict=True):
    expected = classify.photo(path)
    counts.append(len(expected))
    assert len(seen["faces"]) == len(expected), path
    for found, right in zip(seen["faces"], expected, strict=True):
      np.testing.assert_allclose(found["box"], right.box, atol=1)
      np.testing.assert_allclose(
        found["probabilities"], right.probabilities, atol=0.02
      )
      assert right.expression in found["text"]
  assert counts == [1, 2, 0]


@pytest.mark.slow
@in_a_browser
def test_nothing_is_asked_for_once_the_page_has_loaded(shown):
  assert shown["requestsAfterwards"] == []
  assert {"about.json", "detector.onnx", "network.onnx"} <= {
    address.rpartition("/")[2] for address in shown["requests"]
  }
  assert shown["compressed"] <= 7e6


@pytest.mark.slow
@in_a_browser
def test_the_page_is_used_by_keyboard_and_read_aloud(shown):
  assert shown["keyboard"] == ["file", "Stop the camera", [640, 480]]
  assert shown["seen"][2]["status"].startswith("No faces.")
  assert "1 " in shown["seen"][0]["label"]
  assert "AI Act" in shown["text"]
  # The picture that is none is the only thing that may have been reported.
  assert shown["problems"] == []


@pytest.mark.slow
@in_a_browser
def test_the_page_is_timed():
  found = measure.measure("ferplus", str(MODULES), shutil.which("chromium"), 3)
  assert 1 < found["detection_ms"] < 60_000
  assert 0.1 < found["face_ms"] < 60_000
  assert found["compressed_bytes"] < found["bytes"]
