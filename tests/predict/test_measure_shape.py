import numpy as np
import pytest

from pattlite_jax.predict import measure_shape


def bright_left(images):
  """Probabilities of the brighter half: left, right."""
  halves = np.split(images.astype(float), 2, axis=2)
  return np.stack([half.mean(axis=(1, 2, 3)) for half in halves], axis=-1)


def test_each_shape_is_tried_in_each_way():
  labels = np.array([0, 1, 1, 0, 1])
  images = np.zeros((5, 20, 20, 1), np.uint8)
  images[labels == 0, :, :10] = 200
  images[labels == 1, :, 10:] = 200
  found = measure_shape.measure(bright_left, images, labels)
  assert found["faces"] == 5
  by_shape = found["accuracy_by_shape"]
  assert len(by_shape) == 6 and "0.75 of the height" in by_shape
  for of_ways in by_shape.values():
    assert of_ways == dict.fromkeys(measure_shape.WAYS, 1.0)
  wrong = measure_shape.measure(bright_left, images, 1 - labels)
  assert {
    v for w in wrong["accuracy_by_shape"].values() for v in w.values()
  } == {0.0}


@pytest.mark.parametrize(
  ("way", "expected"),
  [
    ("stretched", [[1, 9]] * 4),
    ("filled with black", [[0, 1, 9, 0]] * 4),
    ("filled with its mean", [[5, 1, 9, 5]] * 4),
    ("filled with its edge", [[1, 1, 9, 9]] * 4),
    ("cut to a square", [[1, 9]] * 2),
  ],
)
def test_a_tall_crop_becomes(way, expected):
  crop = np.array([[1, 9]] * 4, np.uint8)[..., None]
  np.testing.assert_array_equal(measure_shape.WAYS[way](crop)[..., 0], expected)


def test_a_crop_keeps_the_middle():
  assert measure_shape._middle_of(48, 0.75) == slice(6, 42)
  assert measure_shape._middle_of(20, 0.9) == slice(1, 19)
