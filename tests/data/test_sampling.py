"""How an epoch visits the images of a split, by class."""

import math

import numpy as np
import pytest

from pattlite_jax.data import sampling


@pytest.fixture
def labels():
  """Three classes of 900, 90 and 10 images, mixed."""
  labels = np.repeat([0, 1, 2], [900, 90, 10])
  return np.random.default_rng(0).permutation(labels)


@pytest.mark.parametrize("kind", ["shuffle", "balanced", "repeat_rare"])
def test_an_epoch_is_that_of_its_seed_and_number(labels, kind):
  def rows(seed, epoch):
    return sampling.epoch_rows(labels, kind, seed=seed, epoch=epoch)

  np.testing.assert_array_equal(rows(3, 7), rows(3, 7))
  assert len(rows(3, 7)) == sampling.epoch_size(labels, kind)
  assert (rows(3, 7) != rows(3, 8)).mean() > 0.9
  assert (rows(3, 7) != rows(4, 7)).mean() > 0.9
  assert rows(3, 7).min() >= 0 and rows(3, 7).max() < len(labels)


def test_a_shuffled_epoch_visits_each_image_once(labels):
  rows = sampling.epoch_rows(labels, "shuffle", seed=0, epoch=1)
  np.testing.assert_array_equal(np.sort(rows), np.arange(1000))


def test_a_balanced_epoch_draws_classes_and_their_images_alike(labels):
  epochs = [
    sampling.epoch_rows(labels, "balanced", seed=0, epoch=epoch)
    for epoch in range(30)
  ]
  assert {len(rows) for rows in epochs} == {1000}
  visits = np.bincount(np.concatenate(epochs), minlength=1000)
  for k, images in enumerate([900, 90, 10]):
    of_class = visits[labels == k]
    # 10,000 draws; a standard deviation is 82.
    assert abs(of_class.sum() - 10_000) < 400
    expected = 10_000 / images
    assert abs(of_class - expected).max() < 5 * math.sqrt(expected) + 5
  assert (visits > 0).all()


def test_rare_classes_are_repeated_by_the_root_of_their_lack(labels):
  rows = sampling.epoch_rows(labels, "repeat_rare", seed=0, epoch=0)
  visits = np.bincount(rows, minlength=1000)
  for k, share in enumerate([0.9, 0.09, 0.01]):
    repeats = math.ceil(max(1.0, math.sqrt(sampling.RARE / share)))
    assert set(visits[labels == k]) == {repeats}
  assert visits[labels == 2][0] > visits[labels == 1][0] >= 1
  assert sampling.epoch_size(labels, "repeat_rare") == visits.sum()
