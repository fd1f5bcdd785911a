"""Convolutions of many channels, with gradients that suit CPUs.

XLA's CPU backend has a fast routine for convolutions whose axes are in one
order, which is not that of JAX's gradients. It reorders them in a program's
outermost computation alone; in a loop or a call, as a training step is, it
takes plain loops, which last far longer. So here gradients come
in that order. Other platforms keep XLA's own.

Axes: B images, H x W pixels, C channels, h x w taps, P x Q outputs, D features.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from pattlite_jax.models.depthwise import pads_of
from pattlite_jax.models.depthwise_cpu import Padding, Pair

_ORDER = ("NHWC", "HWIO", "NHWC")
_PLAIN = {
  "lhs_dilation": (1, 1),
  "rhs_dilation": (1, 1),
  "feature_group_count": 1,
}


def _lax_conv(images, kernel, strides: Pair, padding: Padding):
  return lax.conv_general_dilated(
    images, kernel, strides, padding, dimension_numbers=_ORDER
  )


def _images_gradient(cotangent, images, kernel, strides, padding):
  """Convolves the cotangent, zeros between its pixels, with the taps turned."""
  pads = []
  for axis in (0, 1):
    before = kernel.shape[axis] - 1 - padding[axis][0]
    length = (cotangent.shape[1 + axis] - 1) * strides[axis] + 1
    after = images.shape[1 + axis] + kernel.shape[axis] - 1 - length - before
    pads.append((before, after))
  return lax.conv_general_dilated(
    cotangent,
    jnp.flip(kernel, (0, 1)).swapaxes(2, 3),
    (1, 1),
    pads,
    lhs_dilation=strides,
    dimension_numbers=_ORDER,
  )


def _kernel_gradient(cotangent, images, kernel, strides, padding):
  """Convolves images with the cotangent, channels and images swapped."""
  pads = []
  for axis in (0, 1):
    before = padding[axis][0]
    length = (cotangent.shape[1 + axis] - 1) * strides[axis] + 1
    after = kernel.shape[axis] - 1 + length - images.shape[1 + axis] - before
    pads.append((before, after))
  gradient = lax.conv_general_dilated(  # [C, h, w, D]
    images.transpose(3, 1, 2, 0),
    cotangent.transpose(1, 2, 0, 3),
    (1, 1),
    pads,
    rhs_dilation=strides,
    dimension_numbers=_ORDER,
  )
  return gradient.transpose(1, 2, 0, 3)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv(images, kernel, strides: Pair, padding: Padding):
  return _lax_conv(images, kernel, strides, padding)


def _conv_fwd(images, kernel, strides, padding):
  return _lax_conv(images, kernel, strides, padding), (images, kernel)


def _conv_bwd(strides, padding, residuals, cotangent):
  def reordered(cotangent, images, kernel):
    operands = cotangent, images, kernel, strides, padding
    return _images_gradient(*operands), _kernel_gradient(*operands)

  def as_jax_does(cotangent, images, kernel):
    _, vjp = jax.vjp(
      lambda x, k: _lax_conv(x, k, strides, padding), images, kernel
    )
    return vjp(cotangent)

  return lax.platform_dependent(
    cotangent, *residuals, cpu=reordered, default=as_jax_does
  )


_conv.defvjp(_conv_fwd, _conv_bwd)


def conv(
  images: Float[Array, "B H W C"],
  kernel: Float[Array, "h w C D"],
  strides: Sequence[int],
  padding: str | Sequence[Pair],
  **layout: Any,
) -> Float[Array, "B P Q D"]:
  """Convolves images; reverse-mode gradients only.

  In place of `lax.conv_general_dilated` in flax's `Conv`, whose other arguments
  are `layout`; they must be those of a plain convolution.
  """
  for name, value in layout.items():
    if name != "dimension_numbers" and value != _PLAIN.get(name):
      raise ValueError(f"{name} is {value}, but must be {_PLAIN.get(name)}.")
  if not isinstance(padding, str):
    (top, bottom), (left, right) = padding
    padding = ((top, bottom), (left, right))  # Hashable, for custom_vjp.
  steps = (strides[0], strides[1])
  return _conv(images, kernel, steps, pads_of(images, kernel, steps, padding))


# flax's Conv over two axes, without dilation and in one group, with `conv`.
Conv = functools.partial(nn.Conv, conv_general_dilated=conv)
