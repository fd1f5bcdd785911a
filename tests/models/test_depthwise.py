"""Tests of models/depthwise.py against XLA's grouped convolution."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from pattlite_jax.models import depthwise


def grouped_conv(images, kernel, strides, padding):
  return lax.conv_general_dilated(
    images,
    kernel[:, :, None],
    strides,
    padding,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=images.shape[-1],
  )


def depthwise_conv(images, kernel, strides, padding):
  return depthwise.depthwise_conv(
    images, kernel, strides=strides, padding=padding
  )


def normal(shape, seed):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def random_inputs(images_shape, taps):
  return normal(images_shape, 0), normal((*taps, images_shape[-1]), 1)


def value_and_gradients(conv, images, kernel, cotangent):
  """Returns the output and its gradients for the images and the kernel."""
  output, vjp = jax.vjp(conv, images, kernel)
  return output, *vjp(cotangent)


def compare(images_shape, taps, strides, padding, dtype):
  """Returns our value and gradients in `dtype`, and XLA's in f32."""
  images, kernel = random_inputs(images_shape, taps)
  ours, xla = (
    functools.partial(conv, strides=strides, padding=padding)
    for conv in (depthwise_conv, grouped_conv)
  )
  cotangent = normal(jax.eval_shape(xla, images, kernel).shape, 2)

  @jax.jit  # One compilation for both: it is what these tests take time for.
  def run(*inputs):
    rounded = [x.astype(dtype) for x in inputs]
    widened = [x.astype(jnp.float32) for x in rounded]
    return (
      value_and_gradients(ours, *rounded),
      value_and_gradients(xla, *widened),
    )

  return jax.tree.map(np.asarray, run(images, kernel, cotangent))


def assert_equals_grouped_conv(images_shape, taps, strides, padding):
  ours, xla = compare(images_shape, taps, strides, padding, jnp.float32)
  for got, want in zip(ours, xla, strict=True):
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    scale = max(1.0, np.abs(want).max())
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=2e-6 * scale)


sizes = st.integers(1, 11)
tap_counts = st.integers(1, 4)
steps = st.integers(1, 4)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
  images_shape=st.tuples(st.integers(1, 3), sizes, sizes, st.integers(1, 5)),
  taps=st.tuples(tap_counts, tap_counts),
  strides=st.tuples(steps, steps),
  padding=st.sampled_from(["SAME", "VALID"]),
)
def test_equals_grouped_conv_for_any_shape(
  images_shape, taps, strides, padding
):
  if padding == "VALID":  # Room for the kernel.
    images_shape = (
      images_shape[0],
      images_shape[1] + taps[0] - 1,
      images_shape[2] + taps[1] - 1,
      images_shape[3],
    )
  assert_equals_grouped_conv(images_shape, taps, strides, padding)


@pytest.mark.parametrize(
  ("images_shape", "taps", "strides", "padding"),
  [
    ((2, 17, 16, 8), (3, 3), (1, 1), "SAME"),  # Row blocks with a surplus row.
    ((2, 16, 16, 8), (3, 3), (2, 2), "SAME"),  # Pads bottom and right only.
    ((2, 15, 15, 8), (3, 3), (2, 2), "SAME"),  # Pads all four sides.
    ((2, 14, 14, 8), (4, 4), (4, 4), "SAME"),  # Patch extraction at 224 px.
    ((2, 7, 7, 8), (4, 4), (2, 2), "SAME"),  # Patch extraction at 112 px.
    ((2, 4, 4, 8), (2, 2), (2, 2), "VALID"),  # Second patch extraction.
    ((1, 9, 8, 3), (2, 1), (3, 4), "VALID"),  # Pixels that no tap meets.
    ((1, 13, 3, 2), (12, 12), (1, 1), "SAME"),  # More taps than products.
    # Columns that a loop of several does not divide: zeros fill it up.
    ((2, 5, 13, 3), (3, 3), (1, 1), "SAME"),
    ((2, 5, 13, 3), (3, 3), (1, 1), "VALID"),
    ((2, 7, 26, 3), (3, 3), (2, 2), "SAME"),
    ((2, 9, 59, 3), (3, 4), (2, 3), "VALID"),
  ],
)
def test_equals_grouped_conv(images_shape, taps, strides, padding):
  assert_equals_grouped_conv(images_shape, taps, strides, padding)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_bf16_keeps_its_dtype_and_sums_in_f32(strides):
  ours, xla = compare((4, 24, 24, 4), (3, 3), strides, "SAME", jnp.bfloat16)
  for got, want in zip(ours, xla, strict=True):
    assert got.dtype == jnp.bfloat16
    # Rounding the exact result once to 8 bits; bf16 sums would be 3-30x worse.
    error = np.linalg.norm(got.astype(np.float32) - want)
    assert error < 2.5e-3 * np.linalg.norm(want)


def test_gradients_on_shards_add_up_to_the_gradient_of_the_batch():
  images, kernel = random_inputs((4, 8, 8, 3), (3, 3))

  def gradient(images, kernel):
    return jax.grad(
      lambda k: (depthwise_conv(images, k, (2, 2), "SAME") ** 2).sum()
    )(kernel)

  mesh = jax.make_mesh((1,), ("device",), (jax.sharding.AxisType.Auto,))
  spec = jax.sharding.PartitionSpec
  sharded = jax.shard_map(
    lambda x, k: lax.psum(gradient(x, k), "device"),
    mesh=mesh,
    in_specs=(spec("device"), spec()),
    out_specs=spec(),
    check_vma=False,
  )
  pmapped = jax.pmap(gradient, in_axes=(0, None))
  whole = jax.jit(gradient)(images, kernel)
  np.testing.assert_allclose(jax.jit(sharded)(images, kernel), whole, rtol=1e-5)
  np.testing.assert_allclose(pmapped(images[None], kernel)[0], whole, rtol=1e-5)


def test_module_keeps_the_grouped_kernel_layout():
  images, kernel = random_inputs((2, 8, 8, 5), (3, 2))
  module = depthwise.DepthwiseConv((3, 2), strides=(2, 1), padding="VALID")
  variables = jax.eval_shape(module.init, jax.random.key(0), images)
  assert jax.tree.map(lambda x: x.shape, variables) == {
    "params": {"kernel": (3, 2, 1, 5)}
  }
  params = {"kernel": kernel[:, :, None]}
  output = jax.jit(module.apply)({"params": params}, images)
  expected = grouped_conv(images, kernel, (2, 1), "VALID")
  np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)


def test_module_computes_in_the_dtype_of_the_images():
  images = jnp.ones((1, 4, 4, 2), jnp.bfloat16)
  output, variables = jax.eval_shape(
    depthwise.DepthwiseConv((3, 3)).init_with_output, jax.random.key(0), images
  )
  assert output.dtype == jnp.bfloat16
  assert variables["params"]["kernel"].dtype == jnp.float32


def test_initial_kernel_has_the_range_of_keras():
  kernel = np.asarray(
    depthwise.keras_glorot_uniform(jax.random.key(0), (3, 3, 1, 4096))
  )
  # Keras: sqrt(6 / (fan_in + fan_out)), fans 3 * 3 * 4096 and 3 * 3.
  limit = np.sqrt(6 / (9 * 4096 + 9))
  assert np.abs(kernel).max() <= limit
  assert np.abs(kernel).max() > 0.999 * limit
  assert abs(kernel.mean()) < 0.01 * limit


@pytest.mark.parametrize(
  ("taps", "padding", "dtype", "error", "message"),
  [
    ((3, 3), "same", jnp.float32, ValueError, "padding is 'same'"),
    ((5, 3), "VALID", jnp.float32, ValueError, "smaller than the kernel"),
    ((3, 3), "SAME", jnp.bfloat16, TypeError, "must have one dtype"),
  ],
)
def test_wrong_arguments_are_named(taps, padding, dtype, error, message):
  images, kernel = random_inputs((1, 4, 4, 2), taps)
  with pytest.raises(error, match=message):
    depthwise_conv(
      jnp.asarray(images, dtype), jnp.asarray(kernel), (1, 1), padding
    )
