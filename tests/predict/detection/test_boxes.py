import numpy as np
import pytest

from pattlite_jax.predict.detection import boxes
from pattlite_jax.predict.detection.boxes import Detections


def detections(*rows):
  rows = np.array(rows, np.float64).reshape(-1, 5)
  return Detections(rows[:, :4], rows[:, 4])


def test_overlap_is_intersection_over_union():
  box = np.array([0.0, 0.0, 2.0, 2.0])
  others = np.array(
    [[0, 0, 2, 2], [1, 0, 3, 2], [2, 2, 3, 3], [5, 5, 6, 6], [1, 1, 1, 1]],
    np.float64,
  )
  np.testing.assert_allclose(boxes.overlap(box, others), [1, 1 / 3, 0, 0, 0])


def test_boxes_of_a_face_become_their_weighted_mean():
  merged = boxes.merge_weighted(
    detections((0, 0, 10, 10, 0.6), (2, 0, 12, 10, 0.9), (50, 0, 60, 9, 0.7)),
    0.3,
  )
  np.testing.assert_allclose(merged.scores, [0.9, 0.7])
  left = (0.6 * 0 + 0.9 * 2) / 1.5
  np.testing.assert_allclose(
    merged.boxes, [[left, 0, left + 10, 10], [50, 0, 60, 9]]
  )


def test_the_likeliest_of_repeated_boxes_stays_as_it_is():
  kept = boxes.drop_repeated(
    detections((0, 0, 10, 10, 0.6), (1, 0, 11, 10, 0.9), (9, 0, 19, 10, 0.7)),
    0.3,
  )
  np.testing.assert_array_equal(kept.boxes[:, 0], [1, 9])
  np.testing.assert_array_equal(kept.scores, [0.9, 0.7])


def test_a_box_of_a_part_of_a_face_goes():
  found = detections(
    (0, 0, 10, 10, 0.9), (1, 1, 5, 5, 0.8), (8, 8, 14, 14, 0.7)
  )
  assert len(boxes.drop_repeated(found, 0.3)) == 3
  np.testing.assert_array_equal(
    boxes.drop_repeated(found, 0.3, 0.7).scores, [0.9, 0.7]
  )


@pytest.mark.parametrize(
  "merge",
  [
    lambda found: boxes.merge_weighted(found, 0.3),
    lambda found: boxes.drop_repeated(found, 0.3, 0.7),
  ],
)
def test_nothing_and_boxes_without_area_are_taken(merge):
  assert len(merge(boxes.none())) == 0
  flat = detections((3, 3, 3, 9, 0.9), (3, 3, 3, 9, 0.8))
  assert len(merge(flat)) == 2
