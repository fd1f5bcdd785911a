"""The first convolution against XLA's own, in value and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from pattlite_jax.models.image_conv import ImageConv, image_conv


def expected(images, kernel, strides, padding):
  return lax.conv_general_dilated(
    images,
    kernel,
    strides,
    padding,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    precision="highest",
  )


def assert_is_xlas(height, width, channels, taps, strides, padding, seed=0):
  rng = np.random.default_rng(seed)
  images = jnp.asarray(rng.normal(size=(2, height, width, channels)), "f4")
  kernel = jnp.asarray(rng.normal(size=(*taps, channels, 4)), "f4")

  def ours(images, kernel):
    return image_conv(images, kernel, strides=strides, padding=padding)

  y, vjp = jax.vjp(ours, images, kernel)
  y2, vjp2 = jax.vjp(
    lambda x, k: expected(x, k, strides, padding), images, kernel
  )
  cotangent = jnp.asarray(rng.normal(size=y.shape), "f4")
  for got, want in zip(
    (ours(images, kernel), y, *vjp(cotangent)),
    (y2, y2, *vjp2(cotangent)),
    strict=True,
  ):
    np.testing.assert_allclose(got, want, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
  ("size", "taps", "strides", "padding"),
  [
    ((9, 8), (3, 3), (2, 2), "SAME"),
    ((8, 9), (3, 3), (1, 1), "SAME"),
    ((9, 9), (3, 2), (2, 3), "VALID"),
  ],
)
def test_is_xlas_inside_and_outside_of_training(
  channels, size, taps, strides, padding
):
  assert_is_xlas(*size, channels, taps, strides, padding)


@pytest.mark.long
@pytest.mark.slow
@settings(deadline=None, max_examples=25)  # Compiling takes a while.
@given(
  height=st.integers(3, 9),
  width=st.integers(3, 9),
  channels=st.sampled_from([1, 3]),
  taps=st.tuples(st.integers(1, 3), st.integers(1, 3)),
  strides=st.tuples(st.integers(1, 2), st.integers(1, 2)),
  padding=st.sampled_from(["SAME", "VALID"]),
  seed=st.integers(0, 99),
)
def test_value_and_gradients_are_xlas(
  height, width, channels, taps, strides, padding, seed
):
  assert_is_xlas(height, width, channels, taps, strides, padding, seed)


def test_bf16_keeps_its_dtype():
  images = jnp.ones((1, 4, 4, 3), jnp.bfloat16)
  kernel = jnp.ones((3, 3, 3, 2), jnp.bfloat16)

  def total(images, kernel):
    y = image_conv(images, kernel, strides=(2, 2), padding="SAME")
    assert y.dtype == jnp.bfloat16
    return y.astype(jnp.float32).sum()

  gradients = jax.grad(total, (0, 1))(images, kernel)
  assert {g.dtype for g in gradients} == {jnp.dtype(jnp.bfloat16)}


def test_grey_images_give_what_three_equal_channels_give():
  grey = jax.random.normal(jax.random.key(0), (2, 8, 8, 1))
  colours = jnp.repeat(grey, 3, axis=-1)
  layer = ImageConv(5, (3, 3), (2, 2))
  variables = layer.init(jax.random.key(0), colours)
  assert variables["params"]["kernel"].shape == (3, 3, 3, 5)
  np.testing.assert_allclose(
    layer.apply(variables, grey), layer.apply(variables, colours), atol=1e-5
  )


def test_an_unknown_padding_is_refused():
  with pytest.raises(ValueError, match="'same', but must be"):
    image_conv(
      jnp.ones((1, 4, 4, 3)),
      jnp.ones((3, 3, 3, 2)),
      strides=(1, 1),
      padding="same",
    )
