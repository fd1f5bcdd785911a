import errno
import fcntl
import logging
import os
import shutil
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from pattlite_jax.data import load
from pattlite_jax.data.examples import Examples
from pattlite_jax.data.readers import fer2013
from pattlite_jax.runtime.errors import UserError


def write_csv(folder, rows):
  """Writes rows of (emotion, usage); each image is filled with its number."""
  lines = ["emotion,pixels,Usage"]
  for number, (emotion, usage) in enumerate(rows):
    lines.append(f"{emotion},{' '.join([str(number)] * 2304)},{usage}")
  (folder / "fer2013.csv").write_text("\n".join(lines) + "\n")


ROWS = [(3, "Training"), (1, "Training"), (4, "PublicTest")]


def load_fer2013(folder):
  return load.load_splits(
    "fer2013",
    data_dir=str(folder),
    prepared_dir=str(folder / "prepared"),
    image_size=48,
  )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  """A FER2013 file without PrivateTest rows, prepared; with its warnings."""
  folder = tmp_path_factory.mktemp("fer2013")
  write_csv(folder, ROWS)
  records = []
  handler = logging.Handler()
  handler.emit = lambda record: records.append(record.getMessage())
  logging.getLogger("absl").addHandler(handler)
  splits = load_fer2013(folder)
  logging.getLogger("absl").removeHandler(handler)
  return folder, splits, "\n".join(records)


def test_a_missing_split_is_empty_and_warned_of(prepared):
  _, splits, warnings = prepared
  assert list(splits) == ["train", "validation", "test"]
  assert splits["test"].images.shape == (0, 48, 48, 1)
  assert splits["test"].images.dtype == np.uint8
  assert len(splits["test"]) == 0
  assert "fer2013 has no images in its test split" in warnings
  assert "test: no images seen, 3,589 expected" in warnings


def test_counts_that_differ_are_warned_of_on_every_load(prepared, caplog):
  folder, _, warnings = prepared
  line = "train, disgust: 1 images seen, 436 expected"
  assert warnings.count(line) == 1
  load_fer2013(folder)
  assert caplog.text.count(line) == 1


def test_the_prepared_set_is_read_again(prepared, monkeypatch):
  folder, splits, _ = prepared

  def must_not_be_called(*args, **kwargs):
    raise AssertionError("The csv was read a second time.")

  monkeypatch.setattr(fer2013, "read_rows", must_not_be_called)
  again = load_fer2013(folder)
  assert list(again) == list(splits)
  for split in splits:
    np.testing.assert_array_equal(again[split].images, splits[split].images)
    assert again[split].ids.tolist() == splits[split].ids.tolist()


def cut_after_first_record(path):
  """A record is its length (u64), a sum of that, the data, a sum of it."""
  data = path.read_bytes()
  path.write_bytes(data[: int.from_bytes(data[:8], "little") + 16])


def change_a_byte(path):
  data = bytearray(path.read_bytes())
  data[data.index(b"IDAT") + 4] ^= 1  # Of the first image.
  path.write_bytes(data)


@pytest.mark.parametrize(
  ("damage", "problem"),
  [
    (cut_after_first_record, "train.* bytes, but had"),
    (change_a_byte, "picture Training-00000 is damaged"),
  ],
)
def test_a_damaged_copy_says_what_to_delete(tmp_path, damage, problem):
  write_csv(tmp_path, ROWS)
  load_fer2013(tmp_path)
  (path,) = tmp_path.rglob("*train.tfrecord*")
  damage(path)
  with pytest.raises(OSError, match=problem) as caught:
    load_fer2013(tmp_path)
  assert "\n" not in str(caught.value)
  assert str(path.parent) in str(caught.value)
  shutil.rmtree(path.parent)
  assert len(load_fer2013(tmp_path)["train"]) == 2


def test_a_changed_file_is_prepared_again(tmp_path):
  write_csv(tmp_path, ROWS)
  load_fer2013(tmp_path)
  status = (tmp_path / "fer2013.csv").stat()
  write_csv(tmp_path, [(5, "Training"), *ROWS[1:]])  # As many bytes.
  assert (tmp_path / "fer2013.csv").stat().st_size == status.st_size
  later = status.st_mtime_ns + 10**9
  os.utime(tmp_path / "fer2013.csv", ns=(later, later))
  assert load_fer2013(tmp_path)["train"].labels.tolist() == [5, 1]


def test_a_preparation_that_was_cut_short_is_not_used(tmp_path, monkeypatch):
  write_csv(tmp_path, ROWS)
  whole = fer2013.Fer2013._generate_examples

  def cut_short(self, split, faces):
    examples = whole(self, split, faces)
    yield next(examples)
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(fer2013.Fer2013, "_generate_examples", cut_short)
    with pytest.raises(KeyboardInterrupt):
      load_fer2013(tmp_path)
  assert load_fer2013(tmp_path)["train"].labels.tolist() == [3, 1]


def test_what_a_killed_preparation_leaves_is_removed(tmp_path, caplog):
  write_csv(tmp_path, ROWS)
  load_fer2013(tmp_path)
  (done,) = (tmp_path / "prepared").glob("*/fer2013/1.*")
  left = done.with_name(f"incomplete.ABC123_{done.name}")
  done.rename(left)  # As if it had been killed before its last step.
  with caplog.at_level(logging.WARNING, "absl"):
    assert load_fer2013(tmp_path)["train"].labels.tolist() == [3, 1]
  assert not left.exists() and done.is_dir()
  assert "left by a process that was killed" in caplog.text


def test_another_process_may_finish_first_where_there_are_no_locks(
  tmp_path, monkeypatch
):
  def no_locks(file, operation):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

  monkeypatch.setattr(fcntl, "flock", no_locks)
  write_csv(tmp_path, ROWS)
  whole = fer2013.Fer2013._download_and_prepare
  calls = []

  def overtaken(self, *args, **kwargs):
    whole(self, *args, **kwargs)
    if not calls:
      calls.append("the other process, while ours is at work")
      load_fer2013(tmp_path)

  monkeypatch.setattr(fer2013.Fer2013, "_download_and_prepare", overtaken)
  splits = load_fer2013(tmp_path)
  assert calls
  assert splits["train"].labels.tolist() == [3, 1]


def test_a_broken_row_leaves_nothing_prepared(tmp_path):
  write_csv(tmp_path, [*ROWS, (9, "Training")])
  for _ in range(2):
    with pytest.raises(ValueError, match=r"line 5: emotion is '9'"):
      load_fer2013(tmp_path)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
  monkeypatch.setenv("HOME", str(tmp_path / "home"))
  monkeypatch.chdir(tmp_path)
  (tmp_path / "home" / "faces").mkdir(parents=True)
  write_csv(tmp_path / "home" / "faces", ROWS)
  splits = load.load_splits(
    "fer2013", data_dir="~/faces", prepared_dir="~/prepared", image_size=48
  )
  assert len(splits["train"]) == 2
  assert (tmp_path / "home" / "prepared").is_dir()
  assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("make_folder", [True, False])
def test_missing_files_are_our_own_error(tmp_path, make_folder):
  folder = tmp_path / "nothing"
  if make_folder:
    folder.mkdir()
  with pytest.raises(FileNotFoundError, match="data directory") as error:
    load_fer2013(folder)
  assert str(folder) in str(error.value)
  assert error.value.setting == "data.dir"


def ck_plus_with_sizes(folder, sizes):
  """Writes one CK+ image of each (subject, size): a ramp from left to right."""
  (folder / "anger").mkdir()
  for number, size in enumerate(sizes):
    ramp = np.tile(np.linspace(0, 255, size).astype(np.uint8), (size, 1))
    path = folder / f"anger/S{number:03d}_001_00000001.png"
    PIL.Image.fromarray(ramp).save(path)


def test_images_of_many_sizes_are_resized(tmp_path):
  ck_plus_with_sizes(tmp_path, [32, 48, 64, 48])
  splits = load.load_splits(
    "ck_plus",
    data_dir=str(tmp_path),
    prepared_dir=str(tmp_path / "prepared"),
    image_size=16,
  )
  assert splits["train"].images.shape == (2, 16, 16, 1)
  assert splits["test"].ids.tolist() == ["S000_001_00000001"]
  own = PIL.Image.open(tmp_path / "anger/S000_001_00000001.png")
  expected = tf.image.resize(
    np.asarray(own)[..., None], (16, 16), antialias=True
  )
  np.testing.assert_array_equal(
    splits["test"].images[0], np.rint(expected.numpy())
  )


def test_images_of_one_size_stay_native(tmp_path):
  ck_plus_with_sizes(tmp_path, [48, 48, 48])
  splits = load.load_splits(
    "ck_plus/fold1",
    data_dir=str(tmp_path),
    prepared_dir=str(tmp_path / "prepared"),
    image_size=16,
  )
  shapes = {split: own.images.shape for split, own in splits.items()}
  assert set(shapes.values()) == {(1, 48, 48, 1)}
  assert splits["test"].ids.tolist() == ["S001_001_00000001"]


@pytest.mark.parametrize(
  ("name", "nearest"),
  [
    ("fer2103", "fer2013"),
    ("ferplus", "ferplus/"),
    ("RAF-DB", "raf_db"),
    ("ck_plus/fold10", "ck_plus/fold1"),
    ("synthetic", "synthetic_faces"),
  ],
)
def test_an_unknown_name_suggests_the_nearest(name, nearest):
  with pytest.raises(UserError, match=r"The data sets are fer2013, ") as error:
    load.load_splits(name, data_dir=".", prepared_dir=".", image_size=48)
  assert f"Did you mean '{nearest}" in str(error.value)
  assert error.value.setting == "data.name"


@pytest.mark.parametrize(
  "name",
  [
    "fer2013",
    "ferplus/majority",
    "ferplus/argmax",
    "raf_db",
    "ck_plus/fold9",
    "affectnet/7",
    "affectnet/8",
    "sfew",
    "expw",
    "folders",
    "folders/seed9",
  ],
)
def test_every_name_leads_to_its_own_files(tmp_path, name):
  with pytest.raises(FileNotFoundError):
    load.load_splits(
      name, data_dir=str(tmp_path), prepared_dir=".", image_size=48
    )


def test_scoring_an_empty_split_is_refused(prepared):
  _, splits, _ = prepared
  load.require_examples(splits["train"], "train", "fer2013")
  with pytest.raises(
    UserError, match=r"test split of fer2013.*PrivateTest"
  ) as error:
    load.require_examples(splits["test"], "test", "fer2013")
  assert error.value.setting == "data.dir"
  assert isinstance(splits["test"], Examples)


def test_importing_load_does_not_import_tensorflow():
  script = (
    "import sys, pattlite_jax.data.load; "
    "sys.exit('tensorflow' in sys.modules or 'tensorflow_datasets' in "
    "sys.modules)"
  )
  subprocess.run([sys.executable, "-c", script], check=True)


def test_tensorflow_sees_no_accelerator(prepared):
  assert tf.config.get_visible_devices("GPU") == []
