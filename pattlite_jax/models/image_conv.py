"""Convolution of images: few input channels, with a CPU lowering of its own.

XLA's CPU backend runs a convolution of three channels far below the speed of
its matrix products. As a sum of shifted products it is one vectorised loop over
the output channels, into which XLA fuses what follows. In training, where the
kernel gradient needs what each output sees anyway, colours go through matrix
products both ways; of a single channel it takes longer to lay that out.

Axes: B images, H x W pixels, C channels, h x w taps, P x Q outputs, D features.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from pattlite_jax.models import packed_columns
from pattlite_jax.models.depthwise import pads_of
from pattlite_jax.models.depthwise_cpu import Padding, Pair, output_size
from pattlite_jax.models.parameter import parameter


def _lax_conv(images, kernel, strides: Pair, padding: Padding):
  return lax.conv_general_dilated(
    images,
    kernel,
    strides,
    padding,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )


def _windows(images, kernel_size: Pair, strides: Pair, padding: Padding):
  """Returns what each tap sees, [h w, B, P, Q, C]."""
  padded = jnp.pad(images, ((0, 0), *padding, (0, 0)))
  rows, columns = (
    padded.shape[1 + axis] - kernel_size[axis] + 1 for axis in (0, 1)
  )
  return [
    padded[:, i : i + rows : strides[0], j : j + columns : strides[1]]
    for i, j in itertools.product(*map(range, kernel_size))
  ]


def _shifted_products(images, kernel, strides: Pair, padding: Padding):
  windows = _windows(images, kernel.shape[:2], strides, padding)
  channels, features = kernel.shape[2:]
  taps = kernel.reshape(-1, channels, features).astype(jnp.float32)
  total = jnp.zeros((*windows[0].shape[:-1], features), jnp.float32)
  for window, tap in zip(windows, taps, strict=True):
    for c in range(channels):
      total += window[..., c : c + 1].astype(jnp.float32) * tap[c]
  return total.astype(images.dtype)


def _columns(images, kernel, strides: Pair, padding: Padding):
  """Returns what each output sees, [B P Q, h w C].

  The taps of a line lie side by side: as many as a stride has are copied
  together.
  """
  (height, width, channels, _), (down, step) = kernel.shape, strides
  rows, columns = output_size(images, kernel, strides, padding)
  blocks = range(-(-width // step))
  seen_width = (columns - 1 + len(blocks)) * step
  top_bottom, (left, right) = padding
  right = max(right, seen_width - images.shape[2] - left)
  lines = jnp.pad(images, ((0, 0), top_bottom, (left, right), (0, 0)))
  lines = lines.reshape(*lines.shape[:2], -1)
  seen, size = [], step * channels
  for i, block in itertools.product(range(height), blocks):
    last_row, first = i + (rows - 1) * down, block * size
    parts = lines[:, i : last_row + 1 : down, first : first + columns * size]
    parts = parts.reshape(-1, size)
    seen.append(parts[:, : (width - block * step) * channels])
  return jnp.concatenate(seen, axis=-1)


def _product(images, kernel, strides: Pair, padding: Padding):
  columns = _columns(images, kernel, strides, padding)
  taps = kernel.reshape(-1, kernel.shape[-1])
  y = lax.dot(columns, taps, preferred_element_type=jnp.float32)
  size = output_size(images, kernel, strides, padding)
  return y.reshape(len(images), *size, -1).astype(images.dtype)


def _product_gradient(cotangent, images, kernel, strides, padding):
  """Multiplies line by line: each stays in the cache while it is transposed.

  As one product of all lines, both matrices would be packed first, which takes
  longer than so few multiplications.
  """
  columns = _columns(images, kernel, strides, padding)
  lines = columns.reshape(-1, cotangent.shape[2], columns.shape[1])
  products = lax.dot_general(
    # Else XLA multiplies without the copy.
    lax.optimization_barrier(lines.swapaxes(1, 2)),
    cotangent.reshape(-1, *cotangent.shape[2:]),
    (((2,), (1,)), ((0,), (0,))),
    preferred_element_type=jnp.float32,
  )
  return products.sum(0).reshape(kernel.shape).astype(kernel.dtype)


def _grey_gradient(cotangent, images, kernel, strides, padding):
  windows = _windows(images, kernel.shape[:2], strides, padding)
  # [h w, B P Q]: long rows, which a matrix product reads in order.
  gradient = lax.dot(
    jnp.stack(windows).reshape(len(windows), -1),
    cotangent.reshape(-1, cotangent.shape[-1]),
    preferred_element_type=jnp.float32,
  )
  return gradient.reshape(kernel.shape).astype(kernel.dtype)


def _by_platform(on_cpu, images, kernel, strides: Pair, padding: Padding):
  settings = {"strides": strides, "padding": padding}
  return lax.platform_dependent(
    images,
    kernel,
    cpu=functools.partial(on_cpu, **settings),
    default=functools.partial(_lax_conv, **settings),
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv(images, kernel, strides: Pair, padding: Padding):
  return _by_platform(_shifted_products, images, kernel, strides, padding)


def _conv_fwd(images, kernel, strides, padding):
  on_cpu = _shifted_products if images.shape[-1] == 1 else _product
  y = _by_platform(on_cpu, images, kernel, strides, padding)
  return y, (images, kernel)


def _conv_bwd(strides, padding, residuals, cotangent):
  images, kernel = residuals
  settings = {"strides": strides, "padding": padding}

  def lax_kernel_gradient(cotangent, images, kernel):
    conv = functools.partial(_lax_conv, images, **settings)
    return jax.vjp(conv, kernel)[1](cotangent)[0]

  on_cpu = _grey_gradient if images.shape[-1] == 1 else _product_gradient
  kernel_gradient = lax.platform_dependent(
    cotangent,
    images,
    kernel,
    cpu=functools.partial(on_cpu, **settings),
    default=lax_kernel_gradient,
  )
  # Training never asks for it, and XLA then leaves it out.
  conv = functools.partial(_lax_conv, kernel=kernel, **settings)
  (images_gradient,) = jax.vjp(conv, images)[1](cotangent)
  return images_gradient, kernel_gradient


_conv.defvjp(_conv_fwd, _conv_bwd)


def image_conv(
  images: Float[Array, "B H W C"],
  kernel: Float[Array, "h w C D"],
  *,
  strides: Pair,
  padding: str,
  lowering: str = "auto",
) -> Float[Array, "B P Q D"]:
  """Convolves images of few channels; reverse-mode gradients only.

  `padding` is "SAME" or "VALID". On CPUs sums are f32 even for bf16 images;
  the result has the images' dtype. `lowering` is "auto", the fastest way on
  each platform, or "plain", XLA's convolution on all, for files that other
  programs read.
  """
  pads = pads_of(images, kernel, strides, padding)
  convolve = {"auto": _conv, "plain": _lax_conv}[lowering]
  return convolve(images, kernel, tuple(strides), pads)


class ImageConv(nn.Module):
  """A network's first convolution, "SAME", in the images' dtype.

  Its kernel is for colours. Grey images may have one channel: they give what
  three equal channels give, at a third of the work.
  """

  features: int
  kernel_size: Pair
  strides: Pair
  use_bias: bool = False
  lowering: str = "auto"  # Or "plain"; see `image_conv`.
  columns: int = 1  # Of its output in a place; see `packed_columns`.

  @nn.compact
  def __call__(
    self, images: Float[Array, "B H W C"]
  ) -> Float[Array, "B P M {self.columns}*{self.features}"]:
    shape = (*self.kernel_size, 3, self.features)
    kernel = parameter(self, "kernel", nn.initializers.lecun_normal(), shape)
    if images.shape[-1] == 1:
      kernel = kernel.sum(axis=2, keepdims=True)
    kernel = jnp.asarray(kernel, images.dtype)
    if self.columns > 1:
      y = packed_columns.image(
        images,
        kernel,
        columns=self.columns,
        stride=self.strides[1],
        padding=pads_of(images, kernel, self.strides, "SAME"),
      )
    else:
      y = image_conv(
        images,
        kernel,
        strides=self.strides,
        padding="SAME",
        lowering=self.lowering,
      )
    if self.use_bias:
      bias = parameter(self, "bias", nn.initializers.zeros, (self.features,))
      y += packed_columns.spread(bias, y).astype(y.dtype)
    return y
