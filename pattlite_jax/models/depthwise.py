"""Depthwise convolution, with a CPU lowering and a gradient of its own.

XLA's CPU backend is slow on grouped convolutions. Written as sums of shifted
products they become vectorised loops, many times faster forwards and more so
backwards. Other platforms keep the grouped convolution, but for one gradient
on NVIDIA GPUs.

Axes: B images, H x W pixels, C channels, h x w taps, P x Q outputs.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float, Key

from pattlite_jax.models import depthwise_cpu, depthwise_gpu, packed_columns
from pattlite_jax.models.depthwise_cpu import Padding, Pair
from pattlite_jax.models.parameter import parameter


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


def _grouped(images, kernel, strides: Pair, padding: Padding):
  return lax.conv_general_dilated(
    images,
    kernel[:, :, None],
    strides,
    padding,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=images.shape[-1],
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _depthwise(images, kernel, strides: Pair, padding: Padding):
  settings = {"strides": strides, "padding": padding}
  return lax.platform_dependent(
    images,
    kernel,
    cpu=functools.partial(depthwise_cpu.forward, **settings),
    default=functools.partial(_grouped, **settings),
  )


def _depthwise_fwd(images, kernel, strides, padding):
  return _depthwise(images, kernel, strides, padding), (images, kernel)


def _depthwise_bwd(strides, padding, residuals, cotangent):
  settings = {"strides": strides, "padding": padding}

  def grouped(cotangent, images, kernel):
    _, vjp = jax.vjp(
      lambda x, k: _grouped(x, k, strides, padding), images, kernel
    )
    return vjp(cotangent)

  def on_cuda(cotangent, images, kernel):
    of_images, of_kernel = grouped(cotangent, images, kernel)
    if max(strides) > 1:
      of_images = depthwise_gpu.images_gradient(
        cotangent, images, kernel, **settings
      )
    return of_images, of_kernel

  return lax.platform_dependent(
    cotangent,
    *residuals,
    cpu=functools.partial(depthwise_cpu.gradients, **settings),
    cuda=on_cuda,
    default=grouped,
  )


_depthwise.defvjp(_depthwise_fwd, _depthwise_bwd)


def pads_of(
  images: Float[Array, "B H W C"],
  kernel: Float[Array, "h w *channels"],
  strides: Pair,
  padding: str | Padding,
) -> Padding:
  """Returns the zeros around images that XLA's and TensorFlow's word means.

  Zeros that are given stay. Raises ValueError for other words than "SAME" and
  "VALID", and where the images are smaller than the kernel.
  """
  if not isinstance(padding, str):
    pads = padding
  elif padding in ("SAME", "VALID"):
    (top, bottom), (left, right) = lax.padtype_to_pads(
      images.shape[1:3], kernel.shape[:2], strides, padding
    )
    pads = ((top, bottom), (left, right))  # Hashable, for custom_vjp.
  else:
    raise ValueError(f"padding is {padding!r}, but must be 'SAME' or 'VALID'.")
  if min(depthwise_cpu.output_size(images, kernel, strides, pads)) < 1:
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
  padding: str | Padding,
  lowering: str = "auto",
) -> Float[Array, "B P Q C"]:
  """Convolves each channel with its own kernel; reverse-mode gradients only.

  `padding` is "SAME" or "VALID", as XLA and TensorFlow define them, or the
  zeros around. Sums are f32 even for bf16 images; the result has the images'
  dtype. `lowering` is "auto", the fastest way on each platform, or "plain", the
  grouped convolution on all, for files that other programs read.
  """
  if images.dtype != kernel.dtype:
    raise TypeError(
      f"images are {images.dtype} and kernel is {kernel.dtype}, but they must "
      "have one dtype."
    )
  pads = pads_of(images, kernel, strides, padding)
  convolve = {"auto": _depthwise, "plain": _grouped}[lowering]
  return convolve(images, kernel, tuple(strides), pads)


class DepthwiseConv(nn.Module):
  """A depthwise convolution computed in the images' dtype."""

  kernel_size: Pair
  strides: Pair = (1, 1)
  padding: str | Padding = "SAME"  # Or the zeros around.
  use_bias: bool = False
  kernel_init: Callable[..., Array] = keras_glorot_uniform
  lowering: str = "auto"  # Or "plain"; see `depthwise_conv`.
  # Of the images in a place, a multiple of the stride; see `packed_columns`.
  columns: int = 1

  @nn.compact
  def __call__(
    self, images: Float[Array, "B H W C"]
  ) -> Float[Array, "B P Q C_out"]:
    shape = (*self.kernel_size, 1, images.shape[-1] // self.columns)
    kernel = parameter(self, "kernel", self.kernel_init, shape)  # Grouped HWIO.
    taps = jnp.asarray(kernel[:, :, 0], images.dtype)
    if self.columns > 1:
      assert not isinstance(self.padding, str)
      y = packed_columns.depthwise(
        images,
        taps,
        stride=self.strides[1],
        padding=self.padding,
      )
    else:
      y = depthwise_conv(
        images,
        taps,
        strides=self.strides,
        padding=self.padding,
        lowering=self.lowering,
      )
    if self.use_bias:
      bias = parameter(self, "bias", nn.initializers.zeros, shape[-1:])
      y += packed_columns.spread(bias, y).astype(y.dtype)
    return y
