"""Depthwise convolution, with a CPU lowering and a gradient of its own.

XLA's CPU backend is slow on grouped convolutions. Written as sums of shifted
products they become vectorised loops, many times faster forwards and more so
backwards. Other platforms keep the grouped convolution.

Axes: B images, H x W pixels, C channels, h x w taps, P x Q outputs.
"""

import functools
import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float, Key

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]  # (top, bottom), (left, right)

# Products that one loop of the kernel gradient adds up. More are no faster
# and take longer to compile; fewer are slower.
_PRODUCTS_PER_LOOP = 128


def keras_glorot_uniform(
  key: Key[Array, ""], shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32
) -> Float[Array, "h w 1 C"]:
  """Draws from the range of Keras' glorot_uniform for depthwise kernels.

  Keras counts in its own layout (h, w, C, 1): a fan in of h * w * C, although
  an output sees one channel only, and a fan out of h * w.
  """
  height, width, _, channels = shape
  limit = math.sqrt(6 / (height * width * (channels + 1)))
  return jax.random.uniform(key, shape, dtype, -limit, limit)


def _window(images, start: Pair, strides: Pair, size: Pair):
  """Returns `size` pixels from `start` on, `strides` apart, as f32."""
  stop = [
    first + (count - 1) * step + 1
    for first, count, step in zip(start, size, strides, strict=True)
  ]
  batch, _, _, channels = images.shape
  return lax.slice(
    images, (0, *start, 0), (batch, *stop, channels), (1, *strides, 1)
  ).astype(jnp.float32)


def _taps(kernel):
  return itertools.product(range(kernel.shape[0]), range(kernel.shape[1]))


def _correlate(padded, kernel, strides: Pair, size: Pair, start: Pair = (0, 0)):
  """Sums the shifted products; one loop after XLA's fusion."""
  total = jnp.zeros((padded.shape[0], *size, padded.shape[3]), jnp.float32)
  for i, j in _taps(kernel):
    pixels = _window(padded, (start[0] + i, start[1] + j), strides, size)
    total += pixels * kernel[i, j].astype(jnp.float32)
  return total


def _pad(images, rows: Pair, columns: Pair):
  return jnp.pad(images, ((0, 0), rows, columns, (0, 0)))


def _grouped(images, kernel, strides: Pair, padding: Padding):
  return lax.conv_general_dilated(
    images,
    kernel[:, :, None],
    strides,
    padding,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=images.shape[-1],
  )


def _output_size(images, kernel, strides: Pair, padding: Padding) -> Pair:
  rows, columns = (
    (images.shape[1 + axis] + sum(padding[axis]) - kernel.shape[axis])
    // strides[axis]
    + 1
    for axis in (0, 1)
  )
  return rows, columns


def _forward_cpu(images, kernel, strides: Pair, padding: Padding):
  size = _output_size(images, kernel, strides, padding)
  padded = _pad(images, *padding)  # At the speed of a copy.
  return _correlate(padded, kernel, strides, size).astype(images.dtype)


def _images_gradient(
  padded, first: Pair, images, kernel, strides: Pair, padding: Padding
):
  """Convolves once per phase, the pixels of equal place modulo the strides.

  Only every stride-th tap meets a phase, so that no product with the zeros of
  a dilated cotangent is computed. `padded` holds the cotangent from pixel
  `first` on, and zeros around it.
  """
  (top, _), (left, _) = padding
  batch, height, width, channels = images.shape
  size = (-(-(height + top) // strides[0]), -(-(width + left) // strides[1]))
  phases = []
  for row, column in itertools.product(range(strides[0]), range(strides[1])):
    taps = kernel[row :: strides[0], column :: strides[1]][::-1, ::-1]
    start = (first[0] + 1 - taps.shape[0], first[1] + 1 - taps.shape[1])
    phases.append(_correlate(padded, taps, (1, 1), size, start))
  # [B, rows, s, columns, s, C]: the phases interleave to pixels.
  pixels = jnp.stack(
    [jnp.stack(phases[i :: strides[1]], 2) for i in range(strides[1])], 4
  ).reshape(batch, size[0] * strides[0], size[1] * strides[1], channels)
  pixels = pixels[:, top : top + height, left : left + width]
  return pixels.astype(images.dtype)


def _row_blocks(rows: int, kernel) -> Pair:
  """Returns (number of blocks, rows of each) of the kernel gradient's loops."""
  num_blocks = -(-rows // max(1, _PRODUCTS_PER_LOOP // kernel[..., 0].size))
  num_blocks = max(num_blocks, min(rows, 2))
  return num_blocks, -(-rows // num_blocks)


def _kernel_gradient(
  padded, first: Pair, images, kernel, strides: Pair, padding: Padding, columns
):
  """Multiplies and adds whole rows of the outputs, and reduces what is left.

  XLA's own reduction over B, P and Q first copies the images once per tap. Here
  one loop adds the products of a block of rows, for all taps. `padded` as for
  the images' gradient, of which `columns` belong to the cotangent.
  """
  rows = _output_size(images, kernel, strides, padding)[0]
  num_blocks, block = _row_blocks(rows, kernel)
  surplus = num_blocks * block - rows
  (top, bottom), sides = padding
  images = _pad(images, (top, bottom + surplus * strides[0]), sides)
  sums = []
  for i, j in _taps(kernel):
    total = 0.0
    for row in range(block):
      pixels = _window(
        images,
        (row * strides[0] + i, j),
        (block * strides[0], strides[1]),
        (num_blocks, columns),
      )
      total += pixels * _window(
        padded, (first[0] + row, first[1]), (block, 1), (num_blocks, columns)
      )
    sums.append(total)
  # Axis 2 keeps a block's rows in the cache for all taps. The barrier keeps
  # XLA from fusing everything back to one slow reduction.
  blocks = lax.optimization_barrier(jnp.stack(sums, axis=2))
  return blocks.sum((0, 1, 3)).reshape(kernel.shape).astype(kernel.dtype)


def _gradients_cpu(cotangent, images, kernel, strides: Pair, padding: Padding):
  """Returns the gradients of images and kernel.

  Both read one padded copy of the cotangent. XLA fuses what the cotangent
  comes from into the copy, else into the loop of every tap.
  """
  rows, columns = cotangent.shape[1:3]
  num_blocks, block = _row_blocks(rows, kernel)
  edges, first = [], []
  for axis in (0, 1):
    size = images.shape[1 + axis] + padding[axis][0]
    before = -(-kernel.shape[axis] // strides[axis]) - 1
    after = max(0, -(-size // strides[axis]) - cotangent.shape[1 + axis])
    edges.append((before, after))
    first.append(before)
  edges[0] = (edges[0][0], max(edges[0][1], num_blocks * block - rows))
  padded = _pad(cotangent, *edges)
  arguments = (padded, tuple(first), images, kernel, strides, padding)
  return _images_gradient(*arguments), _kernel_gradient(*arguments, columns)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _depthwise(images, kernel, strides: Pair, padding: Padding):
  settings = {"strides": strides, "padding": padding}
  return lax.platform_dependent(
    images,
    kernel,
    cpu=functools.partial(_forward_cpu, **settings),
    default=functools.partial(_grouped, **settings),
  )


def _depthwise_fwd(images, kernel, strides, padding):
  return _depthwise(images, kernel, strides, padding), (images, kernel)


def _depthwise_bwd(strides, padding, residuals, cotangent):
  def grouped(cotangent, images, kernel):
    _, vjp = jax.vjp(
      lambda x, k: _grouped(x, k, strides, padding), images, kernel
    )
    return vjp(cotangent)

  settings = {"strides": strides, "padding": padding}
  return lax.platform_dependent(
    cotangent,
    *residuals,
    cpu=functools.partial(_gradients_cpu, **settings),
    default=grouped,
  )


_depthwise.defvjp(_depthwise_fwd, _depthwise_bwd)


def pads_of(
  images: Float[Array, "B H W C"],
  kernel: Float[Array, "h w *channels"],
  strides: Pair,
  padding: str,
) -> Padding:
  """Returns the zeros around images that XLA's and TensorFlow's word means.

  Raises ValueError for other words than "SAME" and "VALID", and where the
  images are smaller than the kernel.
  """
  if padding not in ("SAME", "VALID"):
    raise ValueError(f"padding is {padding!r}, but must be 'SAME' or 'VALID'.")
  (top, bottom), (left, right) = lax.padtype_to_pads(
    images.shape[1:3], kernel.shape[:2], strides, padding
  )
  pads = ((top, bottom), (left, right))  # Hashable, for custom_vjp.
  if min(_output_size(images, kernel, strides, pads)) < 1:
    raise ValueError(
      f"Images of {images.shape[1:3]} pixels are smaller than the kernel of "
      f"{kernel.shape[:2]} taps; use larger images or padding='SAME'."
    )
  return pads


def depthwise_conv(
  images: Float[Array, "B H W C"],
  kernel: Float[Array, "h w C"],
  *,
  strides: Pair,
  padding: str,
) -> Float[Array, "B P Q C"]:
  """Convolves each channel with its own kernel; reverse-mode gradients only.

  `padding` is "SAME" or "VALID", as XLA and TensorFlow define them. Sums are
  f32 even for bf16 images; the result has the images' dtype.
  """
  if images.dtype != kernel.dtype:
    raise TypeError(
      f"images are {images.dtype} and kernel is {kernel.dtype}, but they must "
      "have one dtype."
    )
  pads = pads_of(images, kernel, strides, padding)
  return _depthwise(images, kernel, tuple(strides), pads)


class DepthwiseConv(nn.Module):
  """A depthwise convolution computed in the images' dtype."""

  kernel_size: Pair
  strides: Pair = (1, 1)
  padding: str = "SAME"
  use_bias: bool = False
  kernel_init: Callable[..., Array] = keras_glorot_uniform

  @nn.compact
  def __call__(
    self, images: Float[Array, "B H W C"]
  ) -> Float[Array, "B P Q C"]:
    shape = (*self.kernel_size, 1, images.shape[-1])
    kernel = self.param("kernel", self.kernel_init, shape)  # Grouped HWIO.
    y = depthwise_conv(
      images,
      jnp.asarray(kernel[:, :, 0], images.dtype),
      strides=self.strides,
      padding=self.padding,
    )
    if self.use_bias:
      bias = self.param("bias", nn.initializers.zeros, shape[-1:])
      y += bias.astype(y.dtype)
    return y
