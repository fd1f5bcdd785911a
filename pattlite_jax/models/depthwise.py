"""Depthwise convolution, fast on CPU, where XLA's grouped one is ~10x slower.

Axes: B images, H x W pixels each, C channels, h x w taps, P x Q outputs.
"""

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

Strides = tuple[int, int]


def keras_glorot_uniform(
  key: Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32
) -> Float[Array, "h w 1 C"]:
  """Draws a kernel as Keras' glorot_uniform does for depthwise kernels.

  Keras takes the fans from its own layout (h, w, C, 1), so that fan_in counts
  every channel although an output sees only one.
  """
  height, width, _, channels = shape
  limit = math.sqrt(6 / (height * width * (channels + 1)))
  return jax.random.uniform(key, tuple(shape), dtype, -limit, limit)


def _pad(images, kernel, strides, padding):
  """Returns zero-padded images and the padding, ((top, bottom), (left, ...))."""
  pads = lax.padtype_to_pads(
    images.shape[1:3], kernel.shape[:2], strides, padding
  )
  return jnp.pad(images, ((0, 0), *pads, (0, 0))), pads


def _windows(padded, taps, strides, out_size):
  """Yields (i, j, the pixels [B, P, Q, C] that tap i, j meets)."""
  batch, _, _, channels = padded.shape
  for i in range(taps[0]):
    for j in range(taps[1]):
      stop = (
        i + (out_size[0] - 1) * strides[0] + 1,
        j + (out_size[1] - 1) * strides[1] + 1,
      )
      yield (
        i,
        j,
        lax.slice(
          padded, (0, i, j, 0), (batch, *stop, channels), (1, *strides, 1)
        ),
      )


def _correlate(padded, kernel, strides, out_size):
  """Sums the shifted products; XLA fuses them to one pass over the images."""
  total = jnp.zeros((), jnp.float32)
  for i, j, pixels in _windows(padded, kernel.shape[:2], strides, out_size):
    total += pixels.astype(jnp.float32) * kernel[i, j].astype(jnp.float32)
  return total


def _forward(images, kernel, strides, padding):
  padded, _ = _pad(images, kernel, strides, padding)
  out_size = [
    (padded.shape[1 + d] - kernel.shape[d]) // strides[d] + 1 for d in (0, 1)
  ]
  return _correlate(padded, kernel, strides, out_size).astype(images.dtype)


def _input_gradient(cotangent, images, kernel, strides, padding):
  """Each phase of rows and columns modulo the strides is its own convolution."""
  padded, pads = jax.eval_shape(
    lambda x: _pad(x, kernel, strides, padding)[0], images
  ), lax.padtype_to_pads(images.shape[1:3], kernel.shape[:2], strides, padding)
  size = [-(-padded.shape[1 + d] // strides[d]) for d in (0, 1)]
  rows = []
  for r in range(strides[0]):
    row = []
    for c in range(strides[1]):
      taps = kernel[r :: strides[0], c :: strides[1]][::-1, ::-1]
      if taps.size == 0:
        shape = (images.shape[0], *size, images.shape[3])
        row.append(jnp.zeros(shape, jnp.float32))
        continue
      edges = [
        (taps.shape[d] - 1, size[d] - cotangent.shape[1 + d], 0)
        for d in (0, 1)
      ]
      zero = jnp.zeros((), cotangent.dtype)
      spread = lax.pad(cotangent, zero, ((0, 0, 0), *edges, (0, 0, 0)))
      row.append(_correlate(spread, taps, (1, 1), size))
    rows.append(jnp.stack(row, axis=3))
  phases = jnp.stack(rows, axis=2)  # [B, M, s, N, s, C]
  full = phases.reshape(
    images.shape[0],
    size[0] * strides[0],
    size[1] * strides[1],
    images.shape[3],
  )
  (top, _), (left, _) = pads
  height, width = images.shape[1:3]
  full = full[:, top : top + height, left : left + width]
  return full.astype(images.dtype)


def _kernel_gradient(cotangent, images, kernel, strides, padding):
  padded, _ = _pad(images, kernel, strides, padding)
  cotangent = cotangent.astype(jnp.float32)
  sums = [
    (pixels.astype(jnp.float32) * cotangent).sum((0, 1, 2))
    for _, _, pixels in _windows(
      padded, kernel.shape[:2], strides, cotangent.shape[1:3]
    )
  ]
  return jnp.stack(sums).reshape(kernel.shape).astype(kernel.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _depthwise(images, kernel, strides, padding):
  return _forward(images, kernel, strides, padding)


def _depthwise_fwd(images, kernel, strides, padding):
  return _forward(images, kernel, strides, padding), (images, kernel)


def _depthwise_bwd(strides, padding, residuals, cotangent):
  images, kernel = residuals
  return (
    _input_gradient(cotangent, images, kernel, strides, padding),
    _kernel_gradient(cotangent, images, kernel, strides, padding),
  )


_depthwise.defvjp(_depthwise_fwd, _depthwise_bwd)


def depthwise_conv(
  images: Float[Array, "B H W C"],
  kernel: Float[Array, "h w C"],
  *,
  strides: Strides,
  padding: str,
) -> Float[Array, "B P Q C"]:
  """Convolves each channel with its own kernel; reverse-mode gradients only.

  `padding` is "SAME" or "VALID", as in `lax.conv_general_dilated`. Sums are
  f32 whatever the dtype of the images, which is the dtype of the result.
  """
  if padding not in ("SAME", "VALID"):
    raise ValueError(f"padding is {padding!r}, but must be 'SAME' or 'VALID'.")
  return _depthwise(images, kernel, tuple(strides), padding)


class DepthwiseConv(nn.Module):
  """A depthwise convolution without bias, computed in the images' dtype."""

  kernel_size: tuple[int, int]
  strides: Strides = (1, 1)
  padding: str = "SAME"
  kernel_init: Callable[..., Array] = keras_glorot_uniform

  @nn.compact
  def __call__(self, images: Float[Array, "B H W C"]) -> Float[
    Array, "B P Q C"
  ]:
    shape = (*self.kernel_size, 1, images.shape[-1])
    kernel = self.param("kernel", self.kernel_init, shape)
    return depthwise_conv(
      images,
      kernel[:, :, 0].astype(images.dtype),
      strides=self.strides,
      padding=self.padding,
    )
