"""Tests of models/depthwise_gpu.py, as a CPU computes and CUDA is given it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pattlite_jax.models import depthwise, depthwise_gpu


def normal(shape, seed):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def both(images_shape, taps, strides, padding, dtype=jnp.float32):
  """Returns our gradient of images, and XLA's in f32."""
  images = jnp.asarray(normal(images_shape, 0), dtype)
  kernel = jnp.asarray(normal((*taps, images_shape[-1]), 1), dtype)
  pads = depthwise.pads_of(images, kernel, strides, padding)
  plain = functools.partial(
    depthwise.depthwise_conv, strides=strides, padding=pads, lowering="plain"
  )
  f32 = (images.astype(jnp.float32), kernel.astype(jnp.float32))
  output, vjp = jax.vjp(plain, *f32)
  cotangent = jnp.asarray(normal(output.shape, 2), dtype)
  got = depthwise_gpu.images_gradient(cotangent, images, kernel, strides, pads)
  want, _ = vjp(cotangent.astype(jnp.float32))
  return got, want


sizes = st.integers(1, 9)
counts = st.integers(1, 4)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
  images_shape=st.tuples(counts, sizes, sizes, counts),
  taps=st.tuples(counts, counts),
  strides=st.tuples(counts, counts),
  pads=st.none() | st.tuples(counts, counts, counts, counts),
)
def test_equals_the_grouped_convolutions(images_shape, taps, strides, pads):
  padding = "SAME"
  if pads:
    top, bottom, left, right = pads
    rows, columns = (taps[0] + top, bottom), (left, taps[1] + right)
    padding = (rows, columns)
  got, want = both(images_shape, taps, strides, padding)
  assert got.shape == want.shape
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_bf16_sums_are_f32():
  got, want = both((2, 14, 14, 8), (3, 3), (2, 2), "SAME", jnp.bfloat16)
  assert got.dtype == jnp.bfloat16
  np.testing.assert_array_equal(got, want.astype(jnp.bfloat16))


@pytest.mark.parametrize(
  ("strides", "convolutions"), [((1, 1), 2), ((2, 2), 1)]
)
def test_cuda_convolves_for_no_strided_gradient_of_images(
  strides, convolutions
):
  def gradients(images, kernel, cotangent):
    conv = functools.partial(
      depthwise.depthwise_conv, strides=strides, padding="SAME"
    )
    _, vjp = jax.vjp(conv, images, kernel)
    return vjp(cotangent)

  images = jax.ShapeDtypeStruct((2, 8, 8, 4), jnp.float32)
  kernel = jax.ShapeDtypeStruct((3, 3, 4), jnp.float32)
  cotangent = jax.ShapeDtypeStruct(
    (2, 8 // strides[0], 8 // strides[1], 4), jnp.float32
  )
  lowered = (
    jax.jit(gradients)
    .trace(images, kernel, cotangent)
    .lower(lowering_platforms=("cuda",))
  )
  assert lowered.as_text().count("stablehlo.convolution") == convolutions
