"""A data set in one file, and a run on it without TensorFlow."""

import json
import subprocess
import sys

import numpy as np
import pytest

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import packed
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
  targets = rng.random((12, 2), np.float32)
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
