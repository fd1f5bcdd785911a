"""`python -m pattlite_jax.predict` on drawn faces and NASA's astronaut."""

import csv
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from concurrent import futures

import drawn_photo
import numpy as np
import PIL.Image
import pytest
import skimage.data
from absl import flags

import pattlite_jax
from pattlite_jax.predict import __main__ as command
from pattlite_jax.predict import face as face_lib
from pattlite_jax.predict import network as network_lib
from pattlite_jax.predict import video
from pattlite_jax.predict.sources import sources
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.weights import model_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """A folder with faces, with none, and with files that are broken."""
  folder = tmp_path_factory.mktemp("photos")
  PIL.Image.fromarray(skimage.data.astronaut()).save(folder / "astronaut.png")
  PIL.Image.fromarray(drawn_photo.photo()).save(folder / "drawn.png")
  PIL.Image.new("RGB", (90, 60), "gray").save(folder / "=none.png")
  (folder / 'broken, \n"it\'s".jpg').write_bytes(b"\xff\xd8\xffno picture")
  (folder / "empty.png").touch()
  (folder / "huge.png").write_bytes(png_of(20_000, 20_000))
  return folder


def png_of(width, height):
  """Returns a PNG file that says it has this size."""

  def chunk(name, content):
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check

  header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
  data = zlib.compress(b"\0" * 9_999)
  parts = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
  return b"\x89PNG\r\n\x1a\n" + parts


def predict(*arguments):
  """Runs the command; returns its exit status."""
  values = flags.FlagValues()
  command.define_flags(values)
  argv = values(["predict", *map(str, arguments)])
  with pytest.raises(SystemExit) as end:
    command.main(argv, values)
  return end.value.code


def read(path):
  with open(path, newline="") as file:
    return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def found(folder, tmp_path_factory):
  """What the command writes of the folder."""
  out = tmp_path_factory.mktemp("out")
  status = predict(
    folder,
    *(f"--csv={out / 'o.csv'}", f"--json={out / 'o.json'}"),
    f"--pictures={out / 'marked'}",
  )
  assert status == 1
  return out


@pytest.fixture(scope="module")
def classify():
  """The network by JAX, which the command does not need."""
  return pattlite_jax.load("ferplus")


def test_the_faces_are_found(found, folder):
  rows = read(found / "o.csv")
  by_name = {}
  for row in rows:
    by_name.setdefault(os.path.relpath(row["file"], folder), []).append(row)
  (astronaut,) = by_name["astronaut.png"]
  assert astronaut["expression"] == "happiness" and astronaut["face"] == "1"
  drawn = by_name["drawn.png"]
  assert [row["face"] for row in drawn] == ["1", "2", "3"]
  (none,) = by_name["=none.png"]
  assert none["expression"] == "no face" and none["face"] == "0"


def test_what_is_broken_has_a_row_with_the_reason(found):
  rows = {row["file"].rpartition("/")[2]: row for row in read(found / "o.csv")}
  start = "unreadable: "
  assert rows["empty.png"]["expression"] == f"{start}it is empty"
  assert rows['broken, \n"it\'s".jpg']["expression"].startswith(start)
  huge = rows["huge.png"]["expression"]
  assert huge == f"{start}it has more than 64,000,000 pixels"


def test_json_names_the_network_and_the_detector(found, classify):
  lines = [json.loads(line) for line in (found / "o.json").open()]
  assert len(lines) == 6
  for line in lines:
    assert line["network"]["sha256"] == classify.network.sha256()
    assert line["network"]["backend"].startswith("onnxruntime")
    assert "bilinear" in line["network"]["preprocessing"]
    assert line["detector"]["name"] == "BlazeFace full range"


def test_the_figures_are_those_of_load(found, folder, classify):
  rows = [row for row in read(found / "o.csv") if row["face"] != "0"]
  faces = [
    face
    for name in ("astronaut.png", "drawn.png")
    for face in classify.photo(folder / name)
  ]
  assert len(rows) == len(faces) == 4
  for row, face in zip(rows, faces, strict=True):
    shares = [float(row[name]) for name in classify.class_names]
    np.testing.assert_allclose(shares, face.probabilities, atol=1e-5)
    places = [float(row[side]) for side in ("left", "top", "right", "bottom")]
    np.testing.assert_allclose(places, face.box, atol=0.051)
    assert row["expression"] == face.expression
  # Also of the cut alone.
  left, top, right, bottom = faces[0].cut
  cut = skimage.data.astronaut()[top:bottom, left:right]
  np.testing.assert_allclose(classify(cut), faces[0].probabilities, atol=1e-5)


def test_photographs_of_any_kind_in_any_thread(folder, classify):
  pixels = skimage.data.astronaut()
  pictures = [folder / "astronaut.png", pixels, PIL.Image.fromarray(pixels)]
  with futures.ThreadPoolExecutor(4) as threads:
    found = list(threads.map(classify.photo, pictures * 3))
  for (face,) in found:
    assert face.box == found[0][0].box
    np.testing.assert_array_equal(face.probabilities, found[0][0].probabilities)
  assert classify.photo(np.zeros((9, 200, 3), np.uint8)) == []
  grey = np.asarray(PIL.Image.fromarray(pixels).convert("L"))
  assert [face.expression for face in classify.photo(grey)] == ["happiness"]


@pytest.mark.parametrize(
  "picture, message",
  [
    (None, "A picture is None"),
    (np.zeros((9, 9, 3)), "A picture is float64, but must be uint8"),
    ("nothing.png", "No such file"),
  ],
)
def test_what_is_no_photograph_is_refused(classify, picture, message):
  with pytest.raises((UserError, FileNotFoundError), match=message):
    classify.photo(picture)


def test_the_passes_are_named(classify):
  with pytest.raises(UserError, match=r"half, but must be some of whole, pad"):
    classify.photo(skimage.data.astronaut(), passes=["half"])


def test_copies_are_marked(found):
  marked = np.asarray(PIL.Image.open(found / "marked" / "astronaut.png"))
  original = skimage.data.astronaut()
  assert marked.shape[0] > 512 and marked.shape[1] == 512
  changed = np.any(marked[:512] != original, axis=-1)
  assert changed[68:174, 173].mean() > 0.9  # The box's left side.
  assert not changed[75:165, 185:270].any()  # The face itself.
  assert not (found / "marked" / "empty.png").exists()


@pytest.mark.parametrize(
  "mode, orientation",
  [("L", 3), ("LA", 6), ("P", 3), ("CMYK", 6), ("RGBA", 6)],
)
def test_every_mode_is_read_upright(tmp_path, mode, orientation):
  turned = {
    3: PIL.Image.Transpose.ROTATE_180,
    6: PIL.Image.Transpose.ROTATE_90,
  }[orientation]
  picture = PIL.Image.fromarray(skimage.data.astronaut()).transpose(turned)
  exif = PIL.Image.Exif()
  exif[0x0112] = orientation
  path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
  picture.convert(mode).save(path, exif=exif)
  assert predict(path, f"--csv={tmp_path / 'o.csv'}", "--passes=whole") == 0
  (row,) = read(tmp_path / "o.csv")
  places = [float(row[side]) for side in ("left", "top", "right", "bottom")]
  np.testing.assert_allclose(places, [172, 65, 282, 175], atol=12)
  assert row["expression"] == "happiness"


def test_cut_faces_are_taken_as_they_are(tmp_path, classify):
  face = drawn_photo.photo()[60:204, 40:184]
  PIL.Image.fromarray(face).save(tmp_path / "a.png")
  assert predict(tmp_path, "--faces", f"--csv={tmp_path / 'o.csv'}") == 0
  (row,) = read(tmp_path / "o.csv")
  shares = [float(row[name]) for name in classify.class_names]
  np.testing.assert_allclose(shares, classify(face), atol=1e-5)
  assert row["detection"] == "" and row["right"] == "144.0"


def test_a_video_gives_rows_a_marked_copy_and_a_time_line(tmp_path):
  pixels = drawn_photo.photo()
  with video.Writer(str(tmp_path / "v.mp4"), 10.0) as writer:
    for number in range(6):
      writer.write(pixels if number < 4 else np.full_like(pixels, 90))
  options = (f"--csv={tmp_path / 'o.csv'}", f"--pictures={tmp_path / 'out'}")
  assert predict(tmp_path / "v.mp4", "--every=2", *options) == 0
  rows = read(tmp_path / "o.csv")
  assert [row["frame"] for row in rows] == ["0"] * 3 + ["2"] * 3 + ["4"]
  assert rows[3]["time_s"] == "0.200" and rows[-1]["face"] == "0"
  (source,) = sources([str(tmp_path / "out" / "v.mp4")])
  with video.Video(source) as copy:
    assert copy.fps == 5 and len(list(copy.frames())) == 3
  timeline = PIL.Image.open(tmp_path / "out" / "v.mp4.timeline.png")
  assert timeline.size == (1280, 480)


def test_a_run_goes_on_where_it_was(folder, found, tmp_path, capsys):
  for name in ("o.csv", "o.json"):
    lines = (found / name).read_bytes()
    (tmp_path / name).write_bytes(lines[: len(lines) * 2 // 3])
  options = [f"--csv={tmp_path / 'o.csv'}", f"--json={tmp_path / 'o.json'}"]
  assert predict(folder, "--resume", *options) == 1
  for name in ("o.csv", "o.json"):
    assert (tmp_path / name).read_bytes() == (found / name).read_bytes()
  assert predict(folder, "--resume", *options) == 1
  assert "3 files could not" in capsys.readouterr().err.splitlines()[-1]


def test_it_starts_without_jax_and_reads_paths_from_standard_input(folder):
  lines = f"{folder / 'astronaut.png'}\n{folder / 'nothing.png'}\n"
  done = subprocess.run(
    [sys.executable, "-X", "importtime", "-m", "pattlite_jax.predict", "-"],
    input=lines,
    capture_output=True,
    text=True,
    check=False,
  )
  results = done.stdout.splitlines()
  assert results[0].endswith("happiness 100.0%") and done.returncode == 1
  assert results[1].endswith("unreadable: no such file or directory")
  assert "by onnxruntime" in done.stderr
  modules = re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE)
  assert "onnxruntime" in modules
  assert not {"jax", "flax", "tensorflow", "cv2"} & set(modules)


@pytest.mark.parametrize(
  "arguments, message",
  [
    (["--detector=nothing.onnx"], "no file nothing.onnx. The flag is --det"),
    (["--model=nothing"], "No checkpoint at nothing.*The flag is --model"),
    (["--passes=whole,half"], "some of whole, padded, tiles.*--passes"),
    (["--resume"], "--resume goes on with the file of --csv or --json"),
    (["--csv=https://x.org/a.csv"], "neither of this machine nor of a bucket"),
    (["--csv=gs://b/a.csv"], "rows are written to files of this machine"),
  ],
)
def test_a_wrong_flag_is_one_line(folder, arguments, message, capsys):
  assert predict(folder / "astronaut.png", *arguments) == 1
  (line,) = capsys.readouterr().err.splitlines()
  assert re.search(message, line), line


@pytest.mark.parametrize(
  "module, extra, name",
  [("onnxruntime", "predict", "a.png"), ("cv2", "video", "a.mp4")],
)
def test_a_missing_extra_is_named(
  tmp_path, monkeypatch, capsys, module, extra, name
):
  monkeypatch.setitem(sys.modules, module, None)
  (tmp_path / name).touch()
  assert predict(tmp_path) == 1
  printed = "".join(capsys.readouterr())
  remedy = f'Install it with: pip install "pattlite-jax[{extra}]"'
  assert f"needs {module}. {remedy}" in printed


def test_a_photograph_without_the_extra_names_it(monkeypatch):
  monkeypatch.setitem(sys.modules, "onnxruntime", None)
  classify = pattlite_jax.load("ferplus")
  with pytest.raises(ModuleNotFoundError, match=r"pattlite-jax\[predict\]"):
    classify.photo(drawn_photo.photo())


def test_the_pictures_are_never_written_over(tmp_path, capsys):
  path = tmp_path / "a.png"
  PIL.Image.fromarray(drawn_photo.photo()).save(path)
  before = path.read_bytes()
  csv_path = tmp_path / "o.csv"
  status = predict(path, f"--pictures={tmp_path}", f"--csv={csv_path}")
  assert status == 1 and path.read_bytes() == before
  assert "would replace it" in capsys.readouterr().err
  assert read(csv_path)[0]["face"] == "1"  # The picture could be read.


def test_what_cannot_be_encoded_is_said_and_the_run_goes_on(tmp_path, capsys):
  pictures = tmp_path / "in"
  pictures.mkdir()
  PIL.Image.new("RGB", (20, 65_490)).save(pictures / "a.jpg")  # And a legend.
  PIL.Image.new("RGB", (60, 40)).save(pictures / "b.webp")
  PIL.Image.new("RGB", (60, 40)).save(pictures / "b.webp.png")
  out = tmp_path / "out"
  status = predict(pictures, "--faces", f"--pictures={out}", "--csv=-")
  assert status == 0, capsys.readouterr().err
  assert {path.name for path in out.iterdir()} == {
    "a.jpg.png",
    "b.webp.marked.png",
    "b.webp.png",
  }


def test_a_folder_for_copies_that_cannot_be_made_is_one_line(tmp_path, capsys):
  (tmp_path / "file").touch()
  PIL.Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
  csv_path = tmp_path / "o.csv"
  status = predict(
    tmp_path / "a.png",
    f"--pictures={tmp_path / 'file' / 'marked'}",
    f"--csv={csv_path}",
  )
  assert status == 1 and capsys.readouterr().err.count("\n") == 1
  assert not csv_path.exists()


def test_rows_and_lines_need_two_files(tmp_path, capsys):
  status = predict(
    tmp_path, f"--csv={tmp_path}/o.txt", f"--json={tmp_path}/./o.txt"
  )
  assert status == 1 and "need two files" in capsys.readouterr().err


def test_jax_runs_what_has_no_onnx_file(tmp_path, folder):
  shipped = model_folder.find("ferplus")
  for name in (model_folder.WEIGHTS, model_folder.CONFIG):
    (tmp_path / name).symlink_to(shipped / name)
  by_jax, quick = map(network_lib.load, (tmp_path, "ferplus"))
  assert by_jax.backend.startswith("JAX")
  assert quick.backend.startswith("onnxruntime")
  for field in ("sha256", "class_names", "image_shape", "preprocessing"):
    assert getattr(by_jax, field) == getattr(quick, field)
  images = np.stack(
    [
      face_lib.like_training(drawn_photo.photo(seed=s)[:200, :200], (48, 48, 1))
      for s in range(3)
    ]
  )
  np.testing.assert_allclose(
    by_jax.probabilities(images), quick.probabilities(images), atol=1e-5
  )


def test_a_changed_onnx_file_is_refused(tmp_path):
  shipped = model_folder.find("ferplus")
  for name in (model_folder.WEIGHTS, model_folder.CONFIG):
    (tmp_path / name).symlink_to(shipped / name)
  other = model_folder.find("fer2013") / model_folder.ONNX
  (tmp_path / model_folder.ONNX).write_bytes(other.read_bytes())
  with pytest.raises(UserError, match=r"is not the file that .* notes"):
    network_lib.load(tmp_path)
