"""Warps and rectangles: where they must agree with a resize or a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pattlite_jax.data import augment
from pattlite_jax.data import augment_geometry as geometry

IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float32)


@pytest.fixture
def images():
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (3, 16, 16, 2), dtype=np.uint8)


def warp(images, affine, size):
  affines = jnp.tile(jnp.asarray(affine, jnp.float32), (len(images), 1, 1))
  return geometry.warp(jnp.asarray(images), affines, size)


@pytest.mark.parametrize("size", [16, 37, 9])
def test_the_identity_is_the_resize(images, size):
  expected = augment.resize(jnp.asarray(images), size)
  np.testing.assert_allclose(warp(images, IDENTITY, size), expected, atol=1e-2)


def test_a_quarter_turn_is_numpys(images):
  turn = [[0, -1, 0], [1, 0, 0]]
  expected = np.rot90(images, axes=(1, 2))
  back = np.rot90(images, -1, axes=(1, 2))
  got = np.asarray(warp(images, turn, 16))
  assert min(np.abs(got - expected).max(), np.abs(got - back).max()) < 1e-2


def test_a_shift_moves_and_repeats_the_edge(images):
  down = [[1, 0, -0.25], [0, 1, 0]]  # A quarter of 16 pixels.
  got = warp(images, down, 16)
  np.testing.assert_allclose(got[:, 4:], images[:, :12], atol=1e-2)
  edge = np.repeat(images[:, :1], 4, axis=1)
  np.testing.assert_allclose(got[:, :4], edge, atol=1e-2)


def test_a_compiled_warp_of_one_image_is_that_among_others(images):
  compiled = jax.jit(geometry.warp, static_argnames="image_size")
  turned = np.array([[[0.9, 0.2, 0.1], [-0.3, 1.1, 0.2]]] * 3, np.float32)
  found = compiled(images[:1], turned[:1], 20)
  among_others = compiled(images, turned, 20)[:1]
  np.testing.assert_allclose(found, among_others, atol=1e-2)
  assert np.ptp(found) > 200


@pytest.mark.parametrize("size, channels", [(19, 1), (8, 3)])
def test_products_sample_what_gathers_do(size, channels):
  """Up to the last bits, at the edges and on the pixels too."""
  rng = np.random.default_rng(1)
  images = jnp.asarray(rng.uniform(0, 255, (2, 9, 7, channels)), jnp.float32)
  y = rng.uniform(0, 8, (2, size, size))
  x = rng.uniform(0, 6, (2, size, size))
  y[:, 0], y[:, 1], x[:, 0], x[:, 2] = 8, np.rint(y[:, 1]), 6, 0
  y, x = (jnp.asarray(places, jnp.float32) for places in (y, x))
  expected = geometry.gathered(images, y, x)
  found = geometry.multiplied(images, y, x)
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_a_tpu_warps_without_a_gather_but_for_large_images():
  def text(side):
    images = jax.ShapeDtypeStruct((2, side, side, 1), jnp.uint8)
    affines = jax.ShapeDtypeStruct((2, 2, 3), jnp.float32)
    warp = jax.jit(lambda i, a: geometry.warp(i, a, 8))
    traced = warp.trace(images, affines)
    return {
      platform: "stablehlo.gather"
      in traced.lower(lowering_platforms=(platform,)).as_text()
      for platform in ("tpu", "cpu", "cuda")
    }

  assert text(9) == {"tpu": False, "cpu": True, "cuda": True}
  assert text(300)["tpu"]


def test_affines_fill_their_ranges():
  keys = jax.random.split(jax.random.key(0), 2000)
  affines = jax.vmap(
    lambda key: geometry.random_affine(key, rotation=30.0, zoom=0.2, shift=0.1)
  )(keys)
  turns, shifts = affines[:, :, :2], affines[:, :, 2]
  zooms = 1 / jnp.sqrt(jnp.linalg.det(turns))
  angles = jnp.rad2deg(jnp.arctan2(turns[:, 1, 0], turns[:, 0, 0]))
  for found, low, high in (
    (zooms, 0.8, 1.2),
    (angles, -30, 30),
    (shifts, -0.1, 0.1),
  ):
    slack = 0.02 * (high - low)
    assert low - 1e-4 <= float(found.min()) < low + slack
    assert high - slack < float(found.max()) <= high + 1e-4


def test_a_rectangle_marks_the_centres_inside():
  got = geometry.rectangle(8, jnp.array([0.25, -0.5]), jnp.array([0.5, 0.75]))
  expected = np.zeros((8, 8), bool)
  expected[2:6, 0:2] = True
  np.testing.assert_array_equal(got, expected)


def test_erasing_keeps_its_probability_and_area():
  rng = np.random.default_rng(0)
  image = jnp.asarray(rng.uniform(0, 255, (32, 32, 1)), jnp.float32)
  keys = jax.random.split(jax.random.key(0), 1000)
  erased = jax.vmap(
    lambda key: geometry.erase(
      key, image, probability=0.4, min_area=0.1, max_area=0.3
    )
  )(keys)
  changed = np.asarray(erased != image)
  areas = changed.mean(axis=(1, 2, 3))
  assert 0.35 < (areas > 0).mean() < 0.45
  areas = areas[areas > 0]
  assert 0.08 < areas.min() < 0.12 and 0.27 < areas.max() < 0.33
  assert 0.19 < areas.mean() < 0.21
  # Whole rectangles, of the mean.
  first = changed[changed.any(axis=(1, 2, 3))][0, :, :, 0]
  assert first.sum() == first.any(0).sum() * first.any(1).sum()
  np.testing.assert_allclose(
    np.asarray(erased)[changed], image.mean(), rtol=1e-5
  )
