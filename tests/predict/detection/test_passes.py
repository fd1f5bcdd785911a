"""Which faces are found where, in drawn pictures."""

import drawn_photo
import numpy as np
import PIL.Image
import pytest

from pattlite_jax.predict.detection import boxes, load, passes
from pattlite_jax.predict.detection.boxes import Detections
from pattlite_jax.predict.detection.view import letterbox


@pytest.fixture(scope="module")
def detector():
  return load.load()


def find(picture, detector, *names):
  return passes.find(picture, detector, names or passes.PASSES)


def test_each_drawn_face_is_found_once_and_nothing_else(detector):
  picture = PIL.Image.fromarray(drawn_photo.photo())
  found = find(picture, detector)
  assert len(found) == len(drawn_photo.PLACES)
  for box, (_, left, top, side) in zip(
    found.boxes, drawn_photo.PLACES, strict=True
  ):
    centre = (box[:2] + box[2:]) / 2
    assert np.all(np.abs(centre - (left, top) - side / 2) < side / 4)
    assert side / 2 < np.sqrt(boxes.area(box[None])[0]) < 1.2 * side


def test_a_picture_without_faces_gives_none(detector):
  noise = np.random.default_rng(0).integers(0, 255, (90, 70, 3), np.uint8)
  for pixels in (noise, np.full((50, 400, 3), 90, np.uint8)):
    assert len(find(PIL.Image.fromarray(pixels), detector)) == 0


def test_tiles_find_small_faces(detector):
  place = ("happiness", 700, 500, 80)
  pixels = drawn_photo.photo([place], (1600, 1200), seed=3)
  picture = PIL.Image.fromarray(pixels)
  assert len(find(picture, detector, "whole")) == 0
  (box,) = find(picture, detector).boxes
  np.testing.assert_allclose((box[0] + box[2]) / 2, 740, atol=14)
  np.testing.assert_allclose((box[1] + box[3]) / 2, 540, atol=14)


class Recorder:
  """Finds one face in each region: a box in its middle."""

  name, side = "recorder", 64

  def __init__(self):
    self.seen = []

  def find(self, picture, region):
    self.seen.append((picture.size, region))
    left, top, right, bottom = region
    middle = np.array([left, top, right, bottom]) * 0.9 + 0.05 * (left + right)
    return Detections(middle[None], np.array([0.9]))


def test_the_regions_of_each_pass():
  def regions(*names):
    return list(passes.regions(200, 100, names))

  assert regions("whole") == [(0, 0, 200, 100)]
  assert regions("padded") == [(-100, -50, 300, 150)]
  tiles = regions("tiles")
  assert len(tiles) == 4
  covered = np.zeros((100, 200), int)
  for left, top, right, bottom in tiles:
    covered[round(top) : round(bottom), round(left) : round(right)] += 1
  assert covered.min() == 1 and covered[50, 100] == 4
  assert len(regions(*passes.PASSES)) == 6


def test_a_large_picture_is_reduced_once_and_boxes_are_not():
  recorder = Recorder()
  picture = PIL.Image.new("RGB", (2000, 1000))
  found = find(picture, recorder, "whole")
  ((size, region),) = recorder.seen
  assert size == (223, 112) and region == (0, 0, 223, 112)
  assert len(found) == 1
  assert found.boxes.max() > 1000


def test_a_letterbox_and_back():
  pixels = np.zeros((60, 100, 3), np.uint8)
  pixels[20:40, 50:70] = 255
  picture = PIL.Image.fromarray(pixels)
  for region in ((0.0, 0.0, 100.0, 60.0), (-50.0, -30.0, 150.0, 90.0)):
    view = letterbox(picture, region, 64, 64)
    assert view.pixels.shape == (64, 64, 3)
    rows, columns = np.nonzero(view.pixels[..., 0] > 127)
    box = np.array(
      [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], float
    )
    (found,) = view.to_picture(box)
    np.testing.assert_allclose(found, [50, 20, 70, 40], atol=3.2)
