"""Marked copies and time lines."""

import numpy as np
import pytest

from pattlite_jax.predict import annotate, timeline
from pattlite_jax.predict.detection import boxes
from pattlite_jax.predict.photo import Face
from pattlite_jax.runtime.errors import UserError

NAMES = ("happiness", "fear", "anger", "a very long name of a class")


def face(box, best=0):
  probabilities = np.full(len(NAMES), 0.05, np.float32)
  probabilities[best] = 0.85
  return Face(tuple(map(float, box)), (0, 0, 1, 1), 0.9, probabilities, NAMES)


def marked(faces, height=200, width=301):
  pixels = np.full((height, width, 3), 128, np.uint8)
  picture = annotate.annotated(pixels, faces, NAMES, "A caption.")
  return np.asarray(picture)


def rgb(colour):
  return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def test_a_box_has_its_classes_colour_and_the_face_stays_visible():
  picture = marked([face((60, 50, 120, 110), best=1)])
  assert picture[50, 90].tolist() == rgb(annotate.colour(1))
  assert picture[80, 60].tolist() == rgb(annotate.colour(1))
  assert np.all(picture[56:104, 66:114] == 128)
  assert np.all(picture[:40, :301] == 128)


def test_the_picture_is_kept_and_its_copy_has_even_sides():
  picture = marked([])
  assert np.all(picture[:200, :301] == 128)
  assert picture.shape[0] > 230 and np.all(np.mod(picture.shape[:2], 2) == 0)
  legend = picture[200:].reshape(-1, 3).tolist()
  for number in range(len(NAMES)):
    assert rgb(annotate.colour(number)) in legend


def test_a_copy_that_would_take_gigabytes_is_refused(monkeypatch):
  wide = marked([], height=1, width=9_001)
  assert wide.shape[1] == 9_002
  assert np.all(wide[1:, 8_100:] == wide[-1, -1])  # The legend ends before.
  monkeypatch.setattr(annotate, "MAX_PIXELS", wide[..., 0].size - 1)
  with pytest.raises(UserError, match=f"have {wide[..., 0].size:,} pixels"):
    marked([], height=1, width=9_001)


@pytest.mark.parametrize(
  "box",
  [
    (-20, -20, 320, 220),
    (0, 0, 3, 3),
    (290, 190, 330, 260),
    (140, 180, 160, 199),
  ],
)
def test_faces_at_the_edge_are_marked(box):
  assert np.any(marked([face(box)])[:200] != 128)


def test_bars_lie_beside_other_faces():
  faces = [face((10, 30, 60, 80)), face((10, 90, 60, 140), best=2)]
  picture = marked(faces)
  for left, top, right, bottom in (f.box for f in faces):
    inner = picture[
      int(top) + 5 : int(bottom) - 5, int(left) + 5 : int(right) - 5
    ]
    assert np.all(inner == 128)


@pytest.mark.parametrize("size", [11, 16, 40])
def test_a_certain_class_fits_into_its_panel(size):
  probabilities = np.array([1.0, 0, 0, 0], np.float32)
  sure = Face((0.0, 0.0, 9.0, 9.0), (0, 0, 1, 1), 0.9, probabilities, NAMES)
  panel = np.asarray(annotate._bars(sure, [0], size))
  inked = np.flatnonzero((panel != panel[0, 0]).any(axis=(0, 2)))
  assert inked.max() < panel.shape[1] - 2


def test_a_panel_covers_as_little_as_it_can():
  taken = [(50.0, 50.0, 90.0, 90.0), (45.0, 92.0, 95.0, 140.0)]
  place = annotate._place((60, 30), taken[0], (200, 200), taken, 2)
  shared = boxes.intersection(np.array(place, float), np.array(taken))
  assert shared.sum() == 0


def test_smoothing_is_the_mean_of_what_is_near_in_time():
  times = np.array([0.0, 0.4, 0.8, 3.0, 3.1, 3.2])
  rows = np.array([[0.0], [1.0], [0.5], [1.0], [np.nan], [0.0]])
  found = timeline.smoothed(times, rows, 1.0)
  np.testing.assert_allclose(found[:, 0], [0.5, 0.5, 0.75, 0.5, np.nan, 0.5])


def test_the_time_line_shows_the_largest_face():
  line = timeline.Timeline(NAMES)
  for number in range(12):
    small, large = face((0, 0, 9, 9), best=2), face((0, 0, 90, 90), best=1)
    line.add(number / 10, [small, large] if number % 6 else [])
  picture = np.asarray(line.draw("made.mp4"))
  area = picture[90:300, 100:].reshape(-1, 3).tolist()
  assert rgb(annotate.colour(1)) in area
  assert rgb(annotate.colour(2)) not in area


def test_a_time_line_of_nothing_is_drawn():
  assert timeline.Timeline(NAMES).draw("made.mp4").size == (1280, 480)
