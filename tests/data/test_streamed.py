"""A set that is read from disk is the set that is in memory."""

import dataclasses
import itertools
import pathlib

import numpy as np
import PIL.Image
import pytest
from made_set import NEVER, read, write_set

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import pipeline, streamed
from pattlite_jax.runtime import host_memory
from pattlite_jax.runtime.errors import UserError


def records(folder, split="train"):
  (path,) = pathlib.Path(f"{folder}-prepared").rglob(f"*-{split}.tfrecord*")
  return path


def spoil(folder, contents):
  """Changes the last byte of each of some images on disk."""
  path = records(folder)
  data = bytearray(path.read_bytes())
  for content in contents:
    data[data.index(content) + len(content) - 1] ^= 1
  path.write_bytes(data)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
  """The same set in memory and on disk; its images have two sizes."""
  folder = write_set(tmp_path_factory.mktemp("sets") / "faces")
  return read(folder, memory_gb=1.0)["train"], read(folder)["train"]


def assert_same(one, other):
  assert one.keys() == other.keys()
  for name, array in one.items():
    assert array.dtype == other[name].dtype
    np.testing.assert_array_equal(array, other[name])


def test_only_the_images_stay_on_disk(both):
  memory, disk = both
  assert isinstance(memory.images, np.ndarray)
  assert isinstance(disk.images, streamed.StreamedImages)
  assert disk.images.shape == memory.images.shape == (16, 16, 16, 3)
  assert disk.images.nbytes == memory.images.nbytes
  assert np.ptp(memory.images.astype(int), axis=0).min() > 50
  for name in ("labels", "ids"):
    np.testing.assert_array_equal(getattr(disk, name), getattr(memory, name))


@pytest.mark.parametrize("key", [3, -1, slice(2, 11, 3), np.array([5, 0, 5])])
def test_rows_are_read_as_from_an_array(both, key):
  memory, disk = both
  np.testing.assert_array_equal(disk.images[key], memory.images[key])


@pytest.mark.parametrize(
  ("host", "num_hosts", "sampling"),
  [(0, 1, "shuffle"), (0, 2, "repeat_rare"), (1, 2, "balanced")],
)
def test_training_batches_are_those_of_memory(both, host, num_hosts, sampling):
  batches = [
    pipeline.train_batches(
      dataclasses.replace(own, sampling=sampling),
      batch_size=6,
      seed=3,
      first_step=2,
      host=host,
      num_hosts=num_hosts,
    )
    for own in both
  ]
  for one, other in itertools.islice(zip(*batches, strict=True), 7):
    assert_same(one, other)


def test_evaluation_batches_are_those_of_memory(both):
  batches = [
    examples_lib.eval_batches(own, 5, padded_size=6, host=1, num_hosts=2)
    for own in map(examples_lib.numbered, both)
  ]
  for one, other in zip(*batches, strict=True):
    assert_same(one, other)


def test_chosen_and_mirrored_images_are_those_of_memory(both):
  rows = np.array([7, 2, 9])
  memory, disk = (examples_lib.mirrored(own.take(rows)) for own in both)
  np.testing.assert_array_equal(disk.images[:], memory.images)
  assert (memory.images[0] == both[0].images[7, :, ::-1]).all()


def test_fingerprints_are_those_of_memory(both):
  memory, disk = map(examples_lib.fingerprint, both)
  assert disk == memory
  part = [examples_lib.fingerprint(own.take(np.arange(5))) for own in both]
  assert part[0] == part[1] != memory


def test_a_fingerprint_changes_with_one_value_of_one_pixel(both):
  memory, _ = both
  images = memory.images.copy()
  images[4, 3, 2, 1] ^= 1
  changed = dataclasses.replace(memory, images=images)
  assert examples_lib.fingerprint(changed) != examples_lib.fingerprint(memory)


def test_jpegs_are_kept_as_they_were(tmp_path):
  folder = write_set(tmp_path / "faces", sizes=(16, 12), count=4)
  PIL.Image.effect_noise((12, 12), 90).save(folder / "train/a/3.jpg")
  PIL.Image.effect_noise((12, 12), 90).save(folder / "train/b/3.jpg", "png")
  exif = PIL.Image.Exif()
  exif[0x0112] = 6  # It is to be turned.
  picture = PIL.Image.open(folder / "train/b/2.jpg")
  picture.save(folder / "train/b/2.jpg", exif=exif)
  train = read(folder)["train"]
  kept = {
    name: content == (folder / name).read_bytes()
    for name, content in zip(
      train.ids, train.images.encoded(np.arange(8)), strict=True
    )
  }
  turned_or_png = {"train/b/2.jpg", "train/b/3.jpg"}
  assert kept == {name: name not in turned_or_png for name in train.ids}


def test_a_start_reads_no_image_and_a_step_its_own_rows(tmp_path):
  folder = write_set(tmp_path / "faces")
  whole = read(folder)["train"]
  fingerprint = examples_lib.fingerprint(whole)
  rows = examples_lib.batch_rows(whole, batch_size=4, seed=0, step=2)[2:]
  first = whole.images[rows]
  others = np.setdiff1d(np.arange(16), rows)
  spoil(folder, whole.images.encoded(others))

  again = read(folder)["train"]
  assert examples_lib.fingerprint(again) == fingerprint
  batches = pipeline.train_batches(
    again, batch_size=4, seed=0, first_step=2, host=1, num_hosts=2
  )
  np.testing.assert_array_equal(next(batches)["image"], first)
  with pytest.raises(UserError, match=r"picture train/[ab]/\d.jpg is damaged"):
    next(batches)


def test_a_damaged_record_ends_the_run_or_is_left_out(tmp_path, caplog):
  folder = write_set(tmp_path / "faces", count=4)
  train = read(folder)["train"]
  spoil(folder, train.images.encoded(np.array([2])))
  with pytest.raises(
    UserError, match=r"picture train/a/2\.jpg is dam"
  ) as error:
    read(folder, memory_gb=1.0)
  assert error.value.setting == "data.on_bad_image"
  for memory_gb in (NEVER, 1.0):
    caplog.clear()
    for digests in records(folder).parent.glob("*.digests-*"):
      digests.unlink()
    left = read(folder, memory_gb, skip_bad=True)
    assert left["train"].skipped == ("train/a/2.jpg: damaged on disk",)
    assert left["test"].skipped == ()
    assert left["train"].ids.tolist() == np.delete(train.ids, 2).tolist()
    assert left["train"].images[:].shape[0] == 7
    assert "train: left out: train/a/2.jpg" in caplog.text


def test_a_broken_file_ends_the_run_or_is_left_out(tmp_path):
  folder = write_set(tmp_path / "faces", count=4)
  (folder / "test/b/1.jpg").write_bytes(b"\xff\xd8\xff no picture")
  with pytest.raises(UserError, match=r"test/b/1\.jpg cannot be decoded"):
    read(folder)
  for _ in range(2):  # Prepared, and then read.
    splits = read(folder, skip_bad=True)
    assert [len(own.skipped) for own in splits.values()] == [0, 0, 1]
    assert "b/1.jpg cannot be decoded" in splits["test"].skipped[0]
    assert len(splits["test"]) == 7
  with pytest.raises(UserError, match=r"b/1\.jpg cannot .* left out") as error:
    read(folder)
  assert error.value.setting == "data.on_bad_image"


def test_an_index_that_is_lost_or_broken_is_made_again(tmp_path):
  folder = write_set(tmp_path / "faces", count=3)
  before = read(folder)["train"].images[:]
  index = records(folder).parent / "train.index.npz"
  for content in (None, b"no archive", index.read_bytes()[:-30]):
    if content is None:
      index.unlink()
    else:
      index.write_bytes(content)
    np.testing.assert_array_equal(read(folder)["train"].images[:], before)
    assert len(index.read_bytes()) > 1000


def test_the_limit_of_memory_decides(tmp_path):
  folder = write_set(tmp_path / "faces", sizes=(16,), count=3)
  size = 3 * 6 * 16 * 16 * 3 / 1e9  # GB.
  assert isinstance(read(folder, size)["train"].images, np.ndarray)
  assert not isinstance(read(folder, 0.99 * size)["train"].images, np.ndarray)


def test_a_container_has_its_own_memory(tmp_path):
  limit = tmp_path / "memory.max"
  whole = host_memory.total(limit)
  assert whole > 2**28
  limit.write_text("max\n")
  assert host_memory.total(limit) == whole
  limit.write_text("1048576\n")
  assert host_memory.total(limit) == 2**20


def test_grey_pictures_of_own_folders_are_one_channel(tmp_path):
  folder = write_set(tmp_path / "faces", sizes=(16, 14), count=3)
  for path in folder.rglob("*.jpg"):
    PIL.Image.open(path).convert("L").save(path)
  memory, disk = (read(folder, gb)["train"].images for gb in (1.0, NEVER))
  assert disk.shape == (6, 16, 16, 1)
  np.testing.assert_array_equal(disk[:], memory)
