import itertools
import os
import pathlib
import time

import numpy as np
import pytest

from pattlite_jax.audit import duplicates
from pattlite_jax.data.examples import Examples
from pattlite_jax.data.readers import fer2013

CLASS_NAMES = ("anger", "happiness")


def pictures(num_images, *, seed=0, size=48, channels=1):
  """Smooth random pictures, as different from each other as photographs."""
  rng = np.random.default_rng(seed)
  wave = np.cos(np.pi * np.outer(np.arange(6), (np.arange(size) + 0.5) / size))
  waves = rng.normal(size=(num_images, channels, 6, 6))
  x = wave.T @ waves @ wave
  x -= x.mean(axis=(2, 3), keepdims=True)
  x = 128 + 40 * x / x.std(axis=(2, 3), keepdims=True)
  return np.clip(x, 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def brighter(images, seed=0):
  """The same pictures, brighter, with less contrast, and with noise."""
  noise = np.random.default_rng(seed).normal(0, 4, images.shape)
  return np.clip(0.8 * images + 40 + noise, 0, 255).astype(np.uint8)


def make_split(images, prefix, labels=None):
  labels = np.zeros(len(images)) if labels is None else labels
  ids = np.array([f"{prefix}{k}" for k in range(len(images))])
  return Examples(images, np.array(labels, np.int32), ids, CLASS_NAMES)


def found(pairs):
  """{(first, second): exact}"""
  rows = zip(pairs.first, pairs.second, pairs.exact, strict=True)
  return {(int(i), int(j)): bool(exact) for i, j, exact in rows}


def test_different_pictures_are_no_duplicates():
  assert found(duplicates.find_pairs(pictures(300))) == {}


@pytest.mark.parametrize(("size", "channels"), [(48, 1), (100, 3), (20, 1)])
def test_exact_and_near_duplicates_are_told_apart(size, channels):
  images = pictures(40, size=size, channels=channels)
  images[30] = images[3]
  images[31] = brighter(images[[4]])[0]
  pairs = duplicates.find_pairs(images)
  assert found(pairs) == {(3, 30): True, (4, 31): False}
  assert pairs.hamming[0] == 0
  assert pairs.correlation[0] == pytest.approx(1, abs=1e-5)
  assert 0.93 <= pairs.correlation[1] < 1


def test_one_changed_pixel_is_near_and_not_exact():
  images = pictures(2)
  images[1] = images[0]
  images[1, 5, 5, 0] ^= 1
  assert found(duplicates.find_pairs(images)) == {(0, 1): False}


def test_like_hashes_of_unlike_pictures_are_no_pair():
  """The pixels decide: a checkerboard is invisible to the hash's means."""
  images = np.repeat(pictures(1), 2, axis=0)
  checkerboard = 100 * (np.indices((48, 48)).sum(0) % 2) - 50
  images[1, ..., 0] = np.clip(images[1, ..., 0] + checkerboard, 0, 255)
  assert found(duplicates.find_pairs(images)) == {}


def test_uniform_pictures_are_duplicates_only_if_equal():
  images = np.zeros((4, 48, 48, 1), np.uint8)
  images[2:] = 200
  expected = {(0, 1): True, (2, 3): True}
  assert found(duplicates.find_pairs(images)) == expected


def test_blocks_find_what_comparing_all_pairs_finds(monkeypatch):
  images = np.concatenate([pictures(20), brighter(pictures(20)), pictures(5)])
  whole = duplicates.find_pairs(images)
  monkeypatch.setattr(duplicates, "_BLOCK", 7)
  in_blocks = duplicates.find_pairs(images)
  for a, b in zip(whole, in_blocks, strict=True):
    np.testing.assert_allclose(a, b, atol=1e-5)
  flat = images.reshape(45, -1).astype(float)
  correlation = np.corrcoef(flat)
  expected = {
    (i, j)
    for i, j in itertools.combinations(range(45), 2)
    if correlation[i, j] >= 0.93
  }
  assert set(found(in_blocks)) == expected
  assert len(expected) == 20 + 5 + 5


@pytest.fixture(scope="module")
def report_and_splits():
  """Train 0-9; test: 0 and 1 exact, 2 near, of which 1 and 2 disagree."""
  images = pictures(30)
  train = make_split(images[:10], "train-", [0] * 10)
  copies = np.concatenate([images[:2], brighter(images[2:3]), images[20:25]])
  copies[7] = copies[6]  # Within test.
  test = make_split(copies, "test-", [0, 1, 1, 0, 0, 0, 0, 1])
  empty = make_split(images[:0], "none-")
  splits = {"train": train, "validation": empty, "test": test}
  return duplicates.audit(splits), splits


def test_counts_within_and_across_splits(report_and_splits):
  report, _ = report_and_splits
  assert report["num_images"] == {"train": 10, "test": 8}
  overlaps = {tuple(o["splits"]): o for o in report["overlaps"]}
  assert list(overlaps) == [
    ("train", "train"),
    ("train", "test"),
    ("test", "test"),
  ]
  across = overlaps["train", "test"]
  assert across["exact"] == {
    "pairs": 2,
    "images": {"train": 2, "test": 2},
    "label_disagreements": 1,
  }
  assert across["near"]["pairs"] == across["near"]["label_disagreements"] == 1
  assert across["any"]["images"] == {"train": 3, "test": 3}
  assert overlaps["train", "train"]["any"]["pairs"] == 0
  assert overlaps["test", "test"]["exact"] == {
    "pairs": 1,
    "images": {"test": 2},
    "label_disagreements": 1,
  }


def test_pairs_are_listed_by_name(report_and_splits):
  report, _ = report_and_splits
  named = {tuple(p["ids"]): p for p in report["pairs"]}
  assert list(named) == [
    ("train-0", "test-0"),
    ("train-1", "test-1"),
    ("train-2", "test-2"),
    ("test-6", "test-7"),
  ]
  assert named["train-1", "test-1"]["labels"] == ["anger", "happiness"]
  assert named["train-2", "test-2"]["kind"] == "near"


def test_accuracy_on_the_clean_part(report_and_splits):
  report, splits = report_and_splits
  test = splits["test"]
  right = np.array([1, 1, 0, 1, 0, 0, 1, 1], bool)
  predictions = np.where(right, test.labels, 1 - test.labels)
  logits = np.eye(2, dtype=np.float32)[predictions]
  assert duplicates.score_clean(report, "test", test, logits) == {
    "all": {"num_images": 8, "accuracy": 5 / 8},
    "without_exact_duplicates": {"num_images": 6, "accuracy": 3 / 6},
    "without_duplicates": {"num_images": 5, "accuracy": 3 / 5},
    "duplicates_only": {"num_images": 3, "accuracy": 2 / 3},
  }


def test_nothing_left_has_no_accuracy(report_and_splits):
  report, splits = report_and_splits
  duplicated = splits["test"].take(np.arange(3))
  logits = np.zeros((3, 2), np.float32)
  parts = duplicates.score_clean(report, "test", duplicated, logits)
  empty = {"num_images": 0, "accuracy": None}
  assert parts["without_duplicates"] == empty


@pytest.mark.skipif(
  "PATTLITE_FER2013_DIR" not in os.environ,
  reason="PATTLITE_FER2013_DIR names no folder of fer2013.csv",
)
def test_real_fer2013_has_duplicates_across_its_splits():
  folder = pathlib.Path(os.environ["PATTLITE_FER2013_DIR"])
  rows = fer2013.read_rows(folder / "fer2013.csv")
  start = time.monotonic()
  pairs = duplicates.find_pairs(rows.images)
  assert time.monotonic() - start < 60
  training = np.array(rows.usages) == "Training"
  across = training[pairs.first] != training[pairs.second]
  assert pairs.exact.sum() > 1500
  assert (across & pairs.exact).sum() > 300
  assert (across & ~pairs.exact).sum() > 200
  # Every pair of equal images is found, by another way of counting them.
  contents = {}
  for image in rows.images:
    contents[image.tobytes()] = contents.get(image.tobytes(), 0) + 1
  equal = sum(n * (n - 1) // 2 for n in contents.values())
  assert pairs.exact.sum() == equal
