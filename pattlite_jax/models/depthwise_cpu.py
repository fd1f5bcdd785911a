"""Depthwise convolution on CPUs, as sums of shifted products.

Vectorised loops, shaped so that XLA neither splits nor merges them badly.

Axes: B images, H x W pixels, C channels, h x w taps, P x Q outputs.
"""

import itertools
import math

import jax.numpy as jnp
from jax import lax

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]  # (top, bottom), (left, right)

_MOST_TOGETHER = 8  # Columns that a loop of the kernel gradient adds up.
_PIXELS_BESIDE = 4  # At most, in the loop of the shifted products.


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
  """Sums the shifted products; one loop after XLA's fusion.

  Without strides, neighbouring pixels go through it side by side, as channels
  of a narrower image: the first layers' own are too few to fill the loop.
  """
  batch, height, width, channels = padded.shape
  beside = math.gcd(size[1], _PIXELS_BESIDE) if strides[1] == 1 else 1
  shape = (batch, size[0], size[1] // beside, beside * channels)
  total = jnp.zeros(shape, jnp.float32)
  for i, j in _taps(kernel):
    row, column = start[0] + i, start[1] + j
    if beside == 1:
      pixels = _window(padded, (row, column), strides, size)
    else:
      lines = padded.reshape(batch, height, 1, width * channels)
      last = (column + size[1]) * channels
      lines = lines[..., column * channels : last]
      pixels = _window(lines, (row, 0), (strides[0], 1), (size[0], 1)).reshape(
        shape
      )
    total += pixels * jnp.tile(kernel[i, j].astype(jnp.float32), beside)
  return total.reshape(batch, *size, channels)


def _pad(images, rows: Pair, columns: Pair):
  return jnp.pad(images, ((0, 0), rows, columns, (0, 0)))


def output_size(images, kernel, strides: Pair, padding: Padding) -> Pair:
  """Returns (P, Q)."""
  rows, columns = (
    (images.shape[1 + axis] + sum(padding[axis]) - kernel.shape[axis])
    // strides[axis]
    + 1
    for axis in (0, 1)
  )
  return rows, columns


def forward(images, kernel, strides: Pair, padding: Padding):
  """Returns the convolution [B, P, Q, C] of images with a kernel [h, w, C]."""
  size = output_size(images, kernel, strides, padding)
  padded = _pad(images, *padding)  # At the speed of a copy.
  return _correlate(padded, kernel, strides, size).astype(images.dtype)


def _images_gradient(
  padded, first: Pair, images, kernel, strides: Pair, padding: Padding
):
  """Returns what each pixel gets from the taps that meet it.

  With strides, a place of the cotangent gives a block of as many pixels in each
  product, so that none is computed with the zeros of a dilated cotangent.
  `padded` holds the cotangent from pixel `first` on, and zeros around it.
  """
  (top, _), (left, _) = padding
  batch, height, width, channels = images.shape
  size = (-(-(height + top) // strides[0]), -(-(width + left) // strides[1]))
  blocks = [-(-kernel.shape[axis] // strides[axis]) for axis in (0, 1)]
  if max(strides) == 1:
    start = (first[0] + 1 - blocks[0], first[1] + 1 - blocks[1])
    pixels = _correlate(padded, kernel[::-1, ::-1], (1, 1), size, start)
  else:
    spare = [
      (0, blocks[axis] * strides[axis] - kernel.shape[axis]) for axis in (0, 1)
    ]
    taps = jnp.pad(kernel.astype(jnp.float32), (*spare, (0, 0)))
    taps = taps.reshape(
      blocks[0], strides[0], blocks[1], 1, strides[1], channels
    )
    # [B, rows, s, columns, s, C], which are the pixels in their order.
    pixels = jnp.zeros((), jnp.float32)
    for i, j in itertools.product(*map(range, blocks)):
      places = _window(padded, (first[0] - i, first[1] - j), (1, 1), size)
      pixels += places[:, :, None, :, None] * taps[i, :, j]
    pixels = pixels.reshape(
      batch, size[0] * strides[0], size[1] * strides[1], channels
    )
  pixels = pixels[:, top : top + height, left : left + width]
  return pixels.astype(images.dtype)


def _together(columns: int) -> int:
  """Returns how many of so many columns one loop adds up.

  Of so few XLA makes a loop over channels, which the processor's vectors take
  side by side; it would add up whole lines number by number. Of the counts that
  leave the fewest columns over, the largest.
  """
  counts = range(min(4, columns), min(_MOST_TOGETHER, columns) + 1)
  return min(reversed(counts), key=lambda count: -columns % count)


def _kernel_gradient(
  padded, first: Pair, images, kernel, strides: Pair, padding: Padding, size
):
  """Adds up the products of cotangent and images, of all taps in one loop.

  XLA's reduction of one sum would copy the images once per tap first. `padded`
  as for the images' gradient; `size` pixels of it, a multiple of `_together`
  columns, belong to the cotangent or are zeros.
  """
  (left, right), width = padding[1], images.shape[2]
  seen = (size[1] - 1) * strides[1] + kernel.shape[1]
  right = max(right, seen - left - width)  # What the zeros meet.
  images = _pad(images, padding[0], (left, right))
  # Without the barrier XLA takes what lies within the edges from where it comes
  # from, and computes that anew for a tap.
  padded, images = lax.optimization_barrier((padded, images))
  cotangent = _window(padded, first, (1, 1), size)
  batch, _, _, channels = cotangent.shape
  together = _together(size[1])
  shape = (batch, size[0], size[1] // together, together, channels)
  products = tuple(
    (_window(images, tap, strides, size) * cotangent).reshape(shape)
    for tap in _taps(kernel)
  )
  zeros = (jnp.zeros((), jnp.float32),) * len(products)
  sums = lax.reduce(products, zeros, _add_each, (3,))
  # And from fusing everything back to one slow reduction.
  sums = lax.optimization_barrier(sums)
  gradient = jnp.stack([s.reshape(-1, channels).sum(0) for s in sums])
  return gradient.reshape(kernel.shape).astype(kernel.dtype)


def _add_each(sums, values):
  return tuple(a + b for a, b in zip(sums, values, strict=True))


def gradients(cotangent, images, kernel, strides: Pair, padding: Padding):
  """Returns the gradients of images and kernel.

  Both read one padded copy of the cotangent. XLA fuses what the cotangent
  comes from into the copy, else into the loop of every tap.
  """
  edges, first = [], []
  for axis in (0, 1):
    size = images.shape[1 + axis] + padding[axis][0]
    before = -(-kernel.shape[axis] // strides[axis]) - 1
    after = max(0, -(-size // strides[axis]) - cotangent.shape[1 + axis])
    edges.append((before, after))
    first.append(before)
  height, width = cotangent.shape[1:3]
  spare = -width % _together(width)
  edges[1] = (edges[1][0], max(edges[1][1], spare))
  padded = _pad(cotangent, *edges)
  arguments = (padded, tuple(first), images, kernel, strides, padding)
  return (
    _images_gradient(*arguments),
    _kernel_gradient(*arguments, (height, width + spare)),
  )
