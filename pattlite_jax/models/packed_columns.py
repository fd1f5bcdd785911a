"""Neighbouring columns of a map side by side in its channels, for TPUs.

A TPU works on 128 channels at a time, so a map of 32 leaves it three quarters
idle. Here N columns of C channels become one place of N * C channels: a map
[B, H, W, C] becomes [B, H, W / N, N * C], by a reshape alone. A convolution of
the columns is then one of the places, whose kernel is mostly zeros. A matrix
unit multiplies by these in less time than it takes to fill its lanes badly.

Axes: B images, H x W pixels, C channels, N columns a place, h x w taps, D
features.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

LANES = 128  # Channels that a TPU works on at a time.
Pair = tuple[int, int]


def fitting(width: int, channels: int) -> int:
  """Returns how many columns of a map fill the lanes: a power of 2 or 1."""
  columns = 1
  while 2 * columns * channels <= LANES and width % (2 * columns) == 0:
    columns *= 2
  return columns


def pack(x: Float[Array, "B H W C"], columns: int) -> Float[Array, "B H M NC"]:
  """Puts so many columns into each place."""
  batch, height, width, channels = x.shape
  return x.reshape(batch, height, width // columns, columns * channels)


def unpack(
  x: Float[Array, "B *map NC"], columns: int
) -> Float[Array, "B *map_out C"]:
  """Undoes `pack`; with one column there is nothing to undo."""
  if columns == 1:
    return x
  batch, height, width, channels = x.shape
  return x.reshape(batch, height, width * columns, channels // columns)


def spread(
  values: Float[Array, "C"], x: Float[Array, "*n NC"]
) -> Float[Array, "NC"]:
  """Repeats a value of each channel for the columns of x, if it has several."""
  columns = x.shape[-1] // values.shape[-1]
  return jnp.tile(values, columns) if columns > 1 else values


def added_up(
  values: Float[Array, "*n NC"], channels: int
) -> Float[Array, "*n C"]:
  """Adds up the columns of each channel."""
  if values.shape[-1] == channels:
    return values
  return values.reshape(*values.shape[:-1], -1, channels).sum(-2)


def depthwise(
  x: Float[Array, "B H M NC"],
  kernel: Float[Array, "h w C"],
  *,
  stride: int,
  padding: tuple[Pair, Pair],
) -> Float[Array, "B P M NC_out"]:
  """Convolves each channel of packed columns; keeps N / stride of them."""
  channels = kernel.shape[-1]
  taps, first = _taps(
    x.shape[-1] // channels, kernel.shape[1], stride, padding[1][0]
  )
  seen = _through(taps, kernel[..., None])  # [h, m, N, C, N_out, 1]
  places = seen * np.eye(channels, dtype=kernel.dtype)[:, None]
  return _convolve(x, places, first, stride, padding[0])


def image(
  images: Float[Array, "B H W C"],
  kernel: Float[Array, "h w C D"],
  *,
  columns: int,
  stride: int,
  padding: tuple[Pair, Pair],
) -> Float[Array, "B P M ND"]:
  """Convolves images into packed columns, so many in a place."""
  taps, first = _taps(columns * stride, kernel.shape[1], stride, padding[1][0])
  places = _through(taps, kernel)
  x = pack(images, columns * stride)
  return _convolve(x, places, first, stride, padding[0])


def pointwise(
  x: Float[Array, "B H M NC"], kernel: Float[Array, "C D"]
) -> Float[Array, "B H M ND"]:
  """Multiplies the channels of each column by the kernel."""
  columns = x.shape[-1] // kernel.shape[0]
  places = _through(np.eye(columns)[None, ..., None], kernel[None, None])
  return _convolve(x, places, 0, 1, (0, 0))


def _taps(
  columns: int, taps: int, stride: int, left: int
) -> tuple[np.ndarray, int]:
  """Returns which tap lies between which columns, and the first place.

  The array, [places, columns before, columns after, taps], is 1 where a column
  after the convolution sees one before it, `left` of whose columns are zeros.
  """
  after = columns // stride
  seen = [
    (*divmod(stride * n + w - left, columns), n, w)
    for n in range(after)
    for w in range(taps)
  ]
  first, last = seen[0][0], max(place for place, *_ in seen)
  found = np.zeros((last - first + 1, columns, after, taps), np.float32)
  for place, column, n, w in seen:
    found[place - first, column, n, w] = 1
  return found, first


def _through(
  taps: np.ndarray, kernel: Float[Array, "h w C D"]
) -> Float[Array, "h m N C N_out D"]:
  """Returns the kernel of places, of the same values, not rounded.

  Products and a sum would do, but on CPUs, where tests run it, XLA of JAX 0.10
  then crashes.
  """
  return jnp.einsum(
    "hwcd,minw->hmicnd",
    kernel,
    taps.astype(kernel.dtype),
    precision=lax.Precision.HIGHEST,
  )


def _convolve(x, places, first: int, stride: int, rows: Pair):
  """Convolves with a kernel [h, places, N, C, N after, D]; H alone strides."""
  height, width, columns, channels, after, features = places.shape
  return lax.conv_general_dilated(
    x,
    places.reshape(height, width, columns * channels, after * features),
    (stride, 1),
    (rows, (-first, width - 1 + first)),
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )
