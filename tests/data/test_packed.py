"""A data set in one file, and a run on it without TensorFlow."""

import io
import json
import subprocess
import sys
import zlib

import numpy as np
import PIL.Image
import pytest

from pattlite_jax import config as config_lib
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import packed, source
from pattlite_jax.runtime.errors import UserError


@pytest.fixture
def splits(make_examples):
  return {"train": make_examples(70), "test": make_examples(3, seed=1)}


def test_what_is_read_is_what_was_written(splits, tmp_path):
  packed.write(tmp_path / "faces.npz", "raf_db", splits)
  back = packed.read(tmp_path / "faces.npz", "raf_db", soft_targets=False)
  assert back.keys() == splits.keys()
  for name, split in splits.items():
    assert examples_lib.fingerprint(back[name]) == examples_lib.fingerprint(
      split
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_many_mosaics(monkeypatch, tmp_path, channels):
  monkeypatch.setattr(packed, "_PER_MOSAIC", 5)
  monkeypatch.setattr(packed, "_PER_ROW", 3)
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (12, 4, 6, channels), np.uint8)
  targets = rng.dirichlet((1, 1), 12).astype(np.float32)
  examples = examples_lib.Examples(
    images,
    np.arange(12, dtype=np.int32) % 2,
    np.array([f"ä{k}" for k in range(12)]),
    ("a", "b"),
    targets,
  )
  packed.write(tmp_path / "f.npz", "ferplus/argmax", {"train": examples})
  back = packed.read(tmp_path / "f.npz", "ferplus/argmax", soft_targets=True)[
    "train"
  ]
  np.testing.assert_array_equal(back.images, images)
  np.testing.assert_array_equal(back.targets, targets)
  assert back.ids.tolist() == examples.ids.tolist()
  hard = packed.read(tmp_path / "f.npz", "ferplus/argmax", soft_targets=False)[
    "train"
  ]
  assert hard.targets is None


def test_other_files_are_refused_in_one_line(splits, tmp_path):
  path = tmp_path / "faces.npz"
  packed.write(path, "raf_db", splits)
  whole = path.read_bytes()
  with pytest.raises(UserError, match=r"faces\.npz .* has no votes") as error:
    packed.read(path, "raf_db", soft_targets=True)
  assert error.value.setting == "data.soft_targets"
  for content in (b"", b"text", whole[:-40]):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^[^\n]*faces\.npz[^\n]*$"):
      packed.read(path, "raf_db", soft_targets=False)
  np.savez(path, splits=np.array([{}], object))
  with pytest.raises(ValueError, match=r"faces\.npz"):  # Nothing is unpickled.
    packed.read(path, "raf_db", soft_targets=False)
  packed.write(path, "raf_db", splits)
  with pytest.raises(ValueError, match=r"holds raf_db, but fer2013 is asked"):
    packed.read(path, "fer2013", soft_targets=False)
  with pytest.raises(FileNotFoundError):
    packed.read(tmp_path / "none.npz", "raf_db", soft_targets=False)


@pytest.fixture
def change(splits, tmp_path):
  """Writes a set, with some arrays replaced; returns its path."""
  path = tmp_path / "faces.npz"
  packed.write(path, "raf_db", splits)

  def changed(**new):
    with np.load(path) as arrays:
      kept = dict(arrays)
    named = {key.replace("__", "/"): value for key, value in new.items()}
    np.savez_compressed(path, **(kept | named))
    return path

  return changed


def refused(path, message, **options):
  with pytest.raises(UserError, match=message) as error:
    packed.read(path, "raf_db", **({"soft_targets": False} | options))
  text = str(error.value)
  assert str(path) in text and "\n" not in text and len(text) < 600
  assert error.value.setting == "data.packed"


HALF = np.full((70, 3), 0.5, np.float32)


@pytest.mark.parametrize(
  ("key", "value", "message"),
  [
    ("train__labels", np.full(70, 99), r"train: its image 0 has the label 99"),
    ("train__labels", np.full(70, 3), r"label 3, but must .* from 0 to 2"),
    (
      "test__labels",
      np.array([0, 1, -5]),
      "test: its image 2 has the label -5",
    ),
    ("train__labels", np.full(70, 2**40), "the label 1099511627776"),
    ("train__labels", np.zeros(70), r"labels are float64\[70\]"),
    ("train__labels", np.zeros((70, 1), int), r"labels are int64\[70, 1\]"),
    ("train__labels", np.zeros(69, int), r"labels are int64\[69\], .* be 70"),
    ("train__ids", np.zeros(70, int), r"ids are int64\[70\]"),
    ("train__ids", np.array(["a"] * 69), "ids are .*must be 70 texts"),
    ("train__ids", np.array(["a"] * 70), "train has the id a twice"),
    ("train__shape", [70, 16, 16], "shape"),
    ("train__shape", [70.0, 16, 16, 1], "shape is float64, no whole numbers"),
    ("train__shape", [70, 16, 16, 2], r"shape \(70, 16, 16, 2\)"),
    ("train__shape", [70, 16, 32, 1], "a mosaic is L of"),
    ("train__shape", [70, 0, 16, 1], "shape"),
    ("train__shape", [-1, 16, 16, 1], "shape"),
    ("train__shape", [2**40, 48, 48, 1], "more pixels than its bytes"),
    ("train__shape", [1, 2**20, 2**20, 1], "4,096 pixels a side"),
    ("test__shape", [2, 16, 16, 1], "test: its labels are .*must be 2 whole"),
    ("train__class_names", ["a", "a", "b"], "the class name 'a' twice"),
    ("train__class_names", ["a", "", "b"], "one is ''"),
    ("train__class_names", [1, 2, 3], "class_names is int64"),
    (
      "test__class_names",
      ["happiness", "disgust", "anger"],
      "test: its classes are happiness, disgust, anger, but those of another",
    ),
    ("splits", ["train", "other"], "not a whole file of pattlite_jax.pack"),
    ("splits", ["train", "train"], "train, train, one of them twice"),
    ("splits", [], "splits is float64"),
    ("splits", 3, "splits is int64"),
    ("name", ["a", "b"], "not a whole file"),
  ],
)
def test_what_no_data_set_can_be_is_refused(change, key, value, message):
  refused(change(**{key: np.asarray(value)}), message)


@pytest.mark.parametrize(
  ("targets", "message"),
  [
    (HALF, "targets of its image 0 .* shares that add up to 1"),
    (np.full((70, 3), np.nan, np.float32), "nan.* shares"),
    (np.float32([[2, -1, 0]] * 70), "shares that add up to 1"),
    (np.ones((70, 3)) / 3, "targets are float64"),
    (np.ones((70, 2), np.float32) / 2, r"targets are float32\[70, 2\]"),
  ],
)
def test_targets_that_are_no_shares_are_refused(change, targets, message):
  right = np.ones((3, 3), np.float32) / 3
  path = change(train__targets=targets, test__targets=right)
  refused(path, message, soft_targets=True)


def test_what_grows_when_it_is_unpacked_is_refused(change):
  path = change(more=np.zeros(2**27, np.uint8))
  assert path.stat().st_size < 3e5
  refused(path, r"unpack to 134,\d+,\d+, at most")


def test_a_mosaic_that_unpacks_to_gigabytes_is_refused_at_once(change):
  """Its first bytes say so; nothing of it is unpacked."""
  png = io.BytesIO()
  PIL.Image.new("L", (1024, 16)).save(png, "png")
  data = bytearray(png.getvalue())
  data[16:24] = (60_000).to_bytes(4, "big") * 2
  data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
  path = change(**{"train__png__0": np.frombuffer(bytes(data), np.uint8)})
  refused(path, "not a whole file")


def test_large_images_come_in_mosaics_that_pillow_opens():
  for side in (48, 100, 224, 1024):
    count = packed._per_mosaic((10**6, side, side, 3))
    assert count % 64 == 0 and count * side**2 <= 2**26
  # What older versions wrote is read as it was.
  assert packed._per_mosaic((1, 100, 100, 3)) == 4096


def test_a_split_that_is_not_in_the_file_is_empty(splits, tmp_path):
  packed.write(tmp_path / "f.npz", "raf_db", splits)
  data = config_lib.get_config().data
  data.name, data.packed = "raf_db", str(tmp_path / "f.npz")
  found = source.of_config(data).load()
  assert list(found) == ["train", "validation", "test"]
  assert found["validation"].images.shape == (0, 16, 16, 1)


@pytest.mark.slow
def test_a_run_on_it_needs_no_tensorflow(splits, tmp_path):
  all_splits = splits | {"validation": splits["test"]}
  packed.write(tmp_path / "faces.npz", "synthetic_faces", all_splits)
  code = (
    "import sys\n"
    "for name in ('tensorflow', 'tensorflow_datasets', 'clu', 'keras'):\n"
    "  sys.modules[name] = None\n"
    "from absl import app, flags\n"
    "from pattlite_jax import main\n"
    "main.define_flags(flags.FLAGS)\n"
    "app.run(main.main)\n"
  )
  done = subprocess.run(
    [
      sys.executable,
      "-c",
      code,
      "--config=configs/synthetic.py",
      f"--config.data.packed={tmp_path}/faces.npz",
      f"--config.workdir={tmp_path}/run",
      "--config.model.cut=conv_pw_1_relu",
      "--config.model.image_size=24",
      "--config.stage1.epochs=1",
      "--config.stage2.epochs=0",
      "--config.log_every_steps=1",
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  result = json.loads((tmp_path / "run/result.json").read_text())
  assert result["splits"]["train"]["per_sample"]["num_examples"] == 70
  assert "step 1 of 3 (epoch 1 of 1): loss " in done.stdout
