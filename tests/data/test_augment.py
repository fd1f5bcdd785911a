import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from pattlite_jax.data import augment


@pytest.fixture
def images():
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (6, 48, 40, 1), dtype=np.uint8)


@pytest.mark.parametrize("size", [224, 112, 30])
def test_resize_is_keras_resizing(images, size):
  layer = keras.layers.Resizing(size, size, interpolation="bilinear")
  expected = np.asarray(layer(images.astype(np.float32)))
  got = augment.resize(jnp.asarray(images), size)
  np.testing.assert_allclose(got, expected, atol=2e-3)


def test_contrast_is_keras_random_contrast(images):
  layer = keras.layers.RandomContrast(0.3)
  factors = np.linspace(0.7, 1.3, 6, dtype=np.float32)
  expected = layer.transform_images(
    images.astype(np.float32),
    {"contrast_factor": factors[:, None, None, None]},
  )
  got = augment.adjust_contrast(
    jnp.asarray(images, jnp.float32), jnp.asarray(factors)
  )
  assert float(got.min()) == 0 and float(got.max()) == 255  # It clipped.
  np.testing.assert_allclose(got, np.asarray(expected), atol=1e-3)


def test_scale_is_mobilenets_preprocessing(images):
  expected = keras.applications.mobilenet.preprocess_input(
    images.astype(np.float32)
  )
  got = augment.scale(jnp.asarray(images, jnp.float32))
  np.testing.assert_allclose(got, expected, atol=1e-6)


OPTIONS = {"image_size": 48, "random_flip": True, "random_contrast": 0.3}


def augmented(images, seed=0, **changes):
  keys = jax.random.split(jax.random.key(seed), len(images))
  return augmented_by(keys, images, **changes)


def augmented_by(keys, images, **changes):
  function = functools.partial(augment.augment, **OPTIONS | changes)
  return jax.jit(function)(keys, jnp.asarray(images))


def test_augment_without_draws_is_prepare(images):
  got = augmented(images, random_flip=False, random_contrast=0.0)
  expected = augment.prepare(jnp.asarray(images), image_size=48)
  np.testing.assert_array_equal(got, expected)


def test_an_image_draws_from_its_own_key_alone(images):
  keys = jax.random.split(jax.random.key(0), len(images))
  together = augmented_by(keys, images)
  alone = augmented_by(keys[2:3], images[2:3])
  np.testing.assert_allclose(together[2:3], alone, atol=1e-6)
  assert not np.allclose(augmented(images, seed=1), together)


ALL = {
  "random_rotation": 15.0,
  "random_zoom": 0.1,
  "random_shift": 0.1,
  "random_erasing": 0.5,
}


@pytest.mark.slow
def test_each_draw_is_of_its_own(images):
  """Switching one on changes the images, and no draw of the others."""
  together = augmented(images, **ALL)
  for name in ALL:
    assert not np.allclose(augmented(images, **ALL | {name: 0.0}), together)
  keys = jax.random.split(jax.random.key(0), len(images))
  alone = augmented_by(keys[2:3], images[2:3], **ALL)
  np.testing.assert_allclose(together[2:3], alone, atol=1e-5)


def test_flips_about_half_of_the_images():
  ramp = np.tile(np.arange(48, dtype=np.uint8), (400, 48, 1))[..., None]
  flipped = augmented(ramp, random_contrast=0.0)
  share = float((flipped[:, 0, 0, 0] > flipped[:, 0, -1, 0]).mean())
  assert 0.4 < share < 0.6


def test_contrast_factors_fill_their_range():
  image = np.full((400, 48, 48, 1), 100, np.uint8)
  image[:, :24] = 140  # Mean 120, so a factor f gives 120 +- 20 f: no clip.
  got = (augmented(image, random_flip=False) + 1) * 127.5
  factors = (got[:, 0, 0, 0] - got[:, -1, 0, 0]) / 40
  assert 0.7 <= float(factors.min()) < 0.72
  assert 1.28 < float(factors.max()) <= 1.3 + 1e-5
