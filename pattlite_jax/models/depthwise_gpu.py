"""The images' gradient of a depthwise convolution with strides, on NVIDIA GPUs.

cuDNN has fast kernels for depthwise convolutions without strides; a gradient
with strides it computes by others, some behind copies in another layout.

Axes: B images, H x W pixels, C channels, h x w taps, P x Q outputs.
"""

import itertools

import jax.numpy as jnp
from jax import lax

from pattlite_jax.models.depthwise_cpu import Padding, Pair


def images_gradient(cotangent, images, kernel, strides: Pair, padding: Padding):
  """Returns the gradient [B, H, W, C] of images, of a cotangent [B, P, Q, C].

  Sums the products of the taps and the cotangent, with zeros between its pixels
  and around them: one kernel after XLA's fusion, which writes none of these.
  """
  edges = []
  for axis in (0, 1):
    pixels, taps = images.shape[1 + axis], kernel.shape[axis]
    spread = (cotangent.shape[1 + axis] - 1) * strides[axis] + 1
    before = taps - 1 - padding[axis][0]
    after = pixels + taps - 1 - before - spread
    edges.append((before, after, strides[axis] - 1))
  zero = jnp.zeros((), cotangent.dtype)
  padded = lax.pad(cotangent, zero, ((0, 0, 0), *edges, (0, 0, 0)))
  batch, height, width, channels = images.shape
  total = jnp.zeros(images.shape, jnp.float32)
  for i, j in itertools.product(*map(range, kernel.shape[:2])):
    pixels = lax.slice(
      padded, (0, i, j, 0), (batch, i + height, j + width, channels)
    )
    tap = kernel[-1 - i, -1 - j].astype(jnp.float32)
    total += pixels.astype(jnp.float32) * tap
  return total.astype(images.dtype)
