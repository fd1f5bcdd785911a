"""Tools that find faces are compared on faces whose place is known."""

import numpy as np
import pytest

from pattlite_jax.benchmark import on_photos
from pattlite_jax.benchmark.peers import photographs
from pattlite_jax.data.examples import Examples
from pattlite_jax.runtime.errors import MissingFileError

CLASSES = ("anger", "contempt", "happiness")


@pytest.fixture
def examples():
  # The brightness says the class.
  labels = np.array([0, 2, 1, 0, 2], np.int32)
  images = np.full((5, 8, 8, 1), 50, np.uint8)
  images += 50 * labels.astype(np.uint8)[:, None, None, None]
  return Examples(images, labels, np.arange(5).astype(str), CLASSES)


def a_tool(class_names, finds, reads):
  """`finds`: boxes in pixels; `reads`: the brightness to a probability each."""

  def see(picture):
    boxes = np.array(finds(picture), float).reshape(-1, 4)
    reading = np.array([reads(picture)], np.float32).repeat(len(boxes), 0)
    scores = np.arange(len(boxes), 0, -1.0)
    return photographs.Seen(boxes, scores, reading)

  return photographs.Tool(see, class_names, "1.0")


def middle_and_corner(picture):
  height, width, _ = picture.shape
  return [[width / 4, height / 4, width * 3 / 4, height * 3 / 4], [0, 0, 5, 5]]


def by_brightness(picture):
  return np.eye(3)[int(picture.mean() / 50 - 0.5)]


def test_faces_that_are_found_and_read(examples):
  found = on_photos.compare(
    examples,
    {
      "ours": a_tool(CLASSES, middle_and_corner, by_brightness),
      # Finds happy faces alone, which it takes for angry ones half the time.
      "fer": a_tool(
        ("happy", "angry"),
        lambda picture: middle_and_corner(picture)[: int(picture.mean() > 120)],
        lambda picture: [0.4, 0.6],
      ),
    },
  )
  # Contempt is of no use: fer does not have it.
  assert found["class_names"] == ["anger", "happiness"]
  assert found["pictures"] == 4
  ours, fer = found["tools"]["ours"], found["tools"]["fer"]
  assert (ours["found"], ours["boxes_elsewhere"]) == (4, 4)
  assert ours["accuracy_of_found"] == ours["accuracy_of_all"] == 1
  assert (fer["found"], fer["boxes_elsewhere"]) == (2, 0)
  assert fer["accuracy_of_found"] == fer["accuracy_of_all"] == 0


def test_nothing_found_is_no_accuracy(examples):
  blind = a_tool(CLASSES, lambda picture: [], by_brightness)
  found = on_photos.compare(examples, {"ours": blind})["tools"]["ours"]
  assert found["found"] == found["accuracy_of_all"] == 0
  assert found["accuracy_of_found"] is None


def test_a_missing_package_is_said(tmp_path):
  with pytest.raises(MissingFileError, match=r"launch/peers\.sh installs"):
    photographs.fer(tmp_path)
