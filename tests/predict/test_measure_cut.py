import numpy as np

from pattlite_jax.predict import measure_cut
from pattlite_jax.predict.detection.boxes import Detections


class Frames:
  """Finds FER2013's own frame: the middle half of the canvas."""

  name, side = "frames", 192

  def find(self, picture, region):
    width, height = picture.size
    box = np.array([width, height, 3 * width, 3 * height]) / 4
    corner = np.array([0.0, 0.0, 9.0, 9.0])
    return Detections(np.array([box, corner]), np.array([0.9, 0.8]))


class Nothing:
  name, side = "nothing", 192

  def find(self, picture, region):
    return Detections(np.zeros((0, 4)), np.zeros(0))


def dark_half(images):
  """Probabilities of the darker half: upper, lower."""
  means = images.reshape(len(images), 2, -1).mean(axis=2)
  return (means < means[:, ::-1]).astype(np.float32)


def test_the_frame_is_found_again_and_cuts_like_it_cost_nothing():
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 2, 6)
  images = rng.integers(0, 40, (6, 16, 16, 1)).astype(np.uint8)
  images[labels == 0, 8:] += 100
  images[labels == 1, :8] += 100
  found = measure_cut.measure(dark_half, Frames(), images, labels)
  assert (found["faces"], found["found"], found["boxes_elsewhere"]) == (6, 6, 6)
  np.testing.assert_allclose(found["median_box"], [0, 0, 1, 1], atol=1e-3)
  assert found["accuracy_uncut"] == 1
  assert set(found["accuracy_by_side"].values()) == {1}
  wrong = measure_cut.measure(dark_half, Frames(), images, 1 - labels)
  assert wrong["accuracy_by_side"]["1.05"] == wrong["accuracy_uncut"] == 0


def test_the_cut_of_the_frame_is_the_face():
  rng = np.random.default_rng(0)
  image = np.kron(rng.integers(0, 255, (4, 4)), np.ones((12, 12)))
  image = image.astype(np.uint8)[..., None]
  cut = measure_cut._cut(image, np.array([0.0, 0.0, 1.0, 1.0]), 1.0)
  assert np.abs(cut.astype(int) - image)[3::6, 3::6].max() < 12


def test_faces_that_are_not_found_are_counted():
  images = np.zeros((3, 16, 16, 1), np.uint8)
  found = measure_cut.measure(dark_half, Nothing(), images, np.zeros(3, int))
  assert found["found"] == 0 and found["accuracy_uncut"] is None
  assert found["median_box"] is None
