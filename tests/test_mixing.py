"""Mixed images: the shares of the pixels are those of the targets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pattlite_jax.data import mixing

COUNT, SIZE = 64, 16
# Image i is all of 0 but for its own channel i: pixels tell who is in them.
IMAGES = jnp.tile(jnp.eye(COUNT)[:, None, None], (1, SIZE, SIZE, 1))
TARGETS = jnp.eye(COUNT)
FULL = jnp.ones(COUNT, bool)


def mixed(seed=0, mask=FULL, **alphas):
  alphas = {"mixup_alpha": 0.0, "cutmix_alpha": 0.0} | alphas
  rows = mixing.Rows(IMAGES, TARGETS, mask)
  return mixing.mix(
    jax.random.key(seed), jnp.arange(COUNT), rows, rows, **alphas
  )


@pytest.mark.parametrize("kind", ["mixup_alpha", "cutmix_alpha"])
def test_targets_are_the_shares_of_the_pixels(kind):
  images, targets = mixed(**{kind: 1.0})
  np.testing.assert_allclose(images.mean(axis=(1, 2)), targets, atol=1e-5)
  np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-5)
  assert (targets > 0).sum(1).max() == 2  # One partner.
  own = jnp.diag(targets)
  assert 0 < float(own.min()) < 0.2 and 0.8 < float(own.max()) <= 1


def test_mixup_blends_and_cutmix_cuts():
  blended, _ = mixed(mixup_alpha=1.0)
  cut, _ = mixed(cutmix_alpha=1.0)
  assert jnp.ptp(blended, axis=(1, 2)).max() < 1e-6
  assert set(np.unique(cut)) == {0.0, 1.0}


def test_with_both_a_coin_decides():
  kinds = {
    float(jnp.ptp(images, axis=(1, 2)).max()) > 0.5
    for images, _ in (
      mixed(seed, mixup_alpha=1.0, cutmix_alpha=1.0) for seed in range(12)
    )
  }
  assert kinds == {False, True}


def test_a_small_alpha_leaves_most_images_alone():
  _, targets = mixed(mixup_alpha=0.1)
  largest = targets.max(1)
  assert float((largest > 0.9).mean()) > 0.5


def test_padding_takes_no_part():
  mask = FULL.at[COUNT // 2 :].set(False)
  images, targets = mixed(mask=mask, mixup_alpha=1.0)
  assert not targets[: COUNT // 2, COUNT // 2 :].any()
  np.testing.assert_array_equal(images[COUNT // 2 :], IMAGES[COUNT // 2 :])


def test_a_row_alone_stays_as_it_is():
  row = mixing.Rows(IMAGES[:1], TARGETS[:1], FULL[:1])
  images, targets = mixing.mix(
    jax.random.key(0),
    jnp.arange(1),
    row,
    row,
    mixup_alpha=1.0,
    cutmix_alpha=0.0,
  )
  np.testing.assert_allclose(images, IMAGES[:1], rtol=1e-6)
  np.testing.assert_allclose(targets, TARGETS[:1], rtol=1e-6)


@pytest.mark.parametrize("kind", ["mixup_alpha", "cutmix_alpha"])
def test_devices_mix_their_rows_with_those_of_all(kind):
  alphas = {"mixup_alpha": 0.0, "cutmix_alpha": 0.0, kind: 1.0}
  everyone = mixing.Rows(IMAGES, TARGETS, FULL.at[3].set(False))
  whole = mixing.mix(
    jax.random.key(2), jnp.arange(COUNT), everyone, everyone, **alphas
  )
  for first in (0, COUNT // 2):
    rows = slice(first, first + COUNT // 2)
    part = mixing.mix(
      jax.random.key(2),
      jnp.arange(COUNT)[rows],
      mixing.Rows(*(x[rows] for x in everyone)),
      everyone,
      **alphas,
    )
    for found, expected in zip(part, whole, strict=True):
      np.testing.assert_array_equal(found, expected[rows])
