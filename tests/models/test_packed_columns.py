"""Maps with columns packed in their channels, against maps as they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from pattlite_jax.models import packed_columns
from pattlite_jax.models.mobilenet_v1 import MobileNetV1
from pattlite_jax.runtime import parallel


def normal(shape, seed=0):
  drawn = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(drawn, jnp.float32)


def convolved(x, kernel, stride, padding, groups=1):
  return lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    padding,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=groups,
  )


@pytest.mark.parametrize(
  ("width", "channels", "columns"),
  [
    (56, 32, 4),
    (56, 64, 2),
    (56, 128, 1),
    (28, 16, 4),
    (18, 32, 2),
    (7, 32, 1),
  ],
)
def test_columns_fill_the_lanes(width, channels, columns):
  assert packed_columns.fitting(width, channels) == columns
  x = normal((2, 3, width, channels))
  packed = packed_columns.pack(x, columns)
  assert packed.shape == (2, 3, width // columns, columns * channels)
  np.testing.assert_array_equal(packed_columns.unpack(packed, columns), x)


@pytest.mark.parametrize("columns", [2, 4])
@pytest.mark.parametrize(
  ("stride", "padding"),
  [(1, ((1, 1), (1, 1))), (2, ((0, 1), (0, 1))), (2, ((1, 0), (1, 0)))],
)
def test_depthwise_convolution(columns, stride, padding):
  x, kernel = normal((2, 8, 16, 5)), normal((3, 3, 5), 1)
  expected = convolved(x, kernel[:, :, None], stride, padding, groups=5)
  packed = packed_columns.depthwise(
    packed_columns.pack(x, columns), kernel, stride=stride, padding=padding
  )
  found = packed_columns.unpack(packed, columns // stride)
  np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("columns", [2, 4])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
  ("stride", "padding"), [(1, ((1, 1), (1, 1))), (2, ((0, 1), (0, 1)))]
)
def test_convolution_of_images(columns, channels, stride, padding):
  images, kernel = normal((2, 16, 16, channels)), normal((3, 3, channels, 4), 1)
  packed = packed_columns.image(
    images, kernel, columns=columns, stride=stride, padding=padding
  )
  found = packed_columns.unpack(packed, columns)
  expected = convolved(images, kernel, stride, padding)
  np.testing.assert_allclose(found, expected, atol=5e-6)


def test_pointwise_convolution():
  x, kernel = normal((2, 3, 8, 5)), normal((5, 6), 1)
  packed = packed_columns.pointwise(packed_columns.pack(x, 4), kernel)
  found = packed_columns.unpack(packed, 4)
  np.testing.assert_allclose(found, x @ kernel, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
  ("size", "channels", "stem_stride", "cut", "folds"),
  [
    (64, 3, 2, "conv_dw_5_relu", 4),
    (48, 1, 1, "conv_pw_2_relu", 4),
    (36, 3, 2, "conv_dw_2", 2),  # 18 columns after the first layer.
    (36, 3, 2, "conv_pad_2", 2),
    (37, 3, 2, "conv_pw_1_relu", 1),
  ],
)
@pytest.mark.parametrize("train", [False, True])
def test_a_network_gives_on_tpus_what_it_gives_elsewhere(
  size, channels, stem_stride, cut, folds, train
):
  """Outputs, statistics of all rows but a masked one, and all gradients."""
  images = normal((3, size, size, channels))
  mask = jnp.array([True, False, True])
  network = MobileNetV1(cut=cut, stem_stride=stem_stride)
  given = (network.init(jax.random.key(0), images), images, mask)

  def run(variables, images, mask):
    def loss(params):
      output, updated = network.apply(
        variables | {"params": params},
        images,
        mask,
        update_stats=train,
        mutable=["batch_stats"],
      )
      weights = jnp.cos(jnp.arange(output.size)).reshape(output.shape)
      return (output * weights).sum(), (output, updated)

    return jax.grad(loss, has_aux=True)(variables["params"])

  elsewhere, on_tpu = (jax.jit(lambda *given: run(*given)) for _ in range(2))
  expected = elsewhere(*given)
  with parallel.programs_for("tpu"):
    text = on_tpu.lower(*given).as_text()
    found = on_tpu(*given)
  assert f"x{32 * folds}xf32>" in text  # What the first layer gives.

  def compare(ours, theirs):
    scale = np.abs(theirs).max() + 1e-12
    np.testing.assert_allclose(ours, theirs, atol=4e-5 * scale)

  jax.tree.map(compare, found, expected)
