import numpy as np
import pytest

from pattlite_jax.predict import cut


@pytest.mark.parametrize(
  "box, expected",
  [
    ((10, 20, 110, 120), (8, 18, 113, 123)),  # 105 pixels around (60, 70).
    ((0, 0, 40, 90), (-12, 14, 51, 77)),  # 1.05 x 60.
    ((5, 5, 5, 5), (4, 4, 5, 5)),  # No area: a pixel.
  ],
)
def test_the_square_has_the_boxes_centre_and_mean_side(box, expected):
  found = cut.square(np.array(box, np.float64))
  assert np.abs(np.subtract(found, expected)).max() <= 1
  left, top, right, bottom = found
  assert right - left == bottom - top == expected[2] - expected[0]


def test_pixels_repeat_over_the_edge():
  pixels = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
  np.testing.assert_array_equal(
    cut.cut(pixels, (1, 1, 3, 3))[..., 0], [[5, 6], [9, 10]]
  )
  np.testing.assert_array_equal(
    cut.cut(pixels, (-1, -1, 2, 2))[..., 0], [[0, 0, 1], [0, 0, 1], [4, 4, 5]]
  )
  assert cut.cut(pixels, (9, 9, 11, 11)).tolist() == [[[11]] * 2] * 2
