"""Random warps and rectangles of images, on the device.

Places and lengths are shares of an image's side; (0, 0) is its top left.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Key, UInt8

# Of pixels in [0, 1]: what PyTorch's networks subtract and divide by.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
# Numbers of a source image from which on a TPU gathers: its work grows with
# them, a gather's does not. RAF-DB's images of 100 x 100 have 30,000.
_MOST_MULTIPLIED = 1 << 16


def random_affine(
  key: Key[Array, ""],
  *,
  rotation: float,
  zoom: float,
  shift: float,
  crop: float = 1.0,
  probability: float = 1.0,
) -> Float[Array, "2 3"]:
  """Returns where a warped image's places lie in the source, about its centre.

  The angle is uniform within `rotation` degrees, the magnification within
  1 +- `zoom`, each shift within +- `shift` of the side: with `probability`. Of
  every image a square is then cut out whose area, a share of the image's, is
  uniform from `crop` to 1. Images are square.
  """
  affine = _turned(key, rotation, zoom, shift)
  if probability < 1:
    chance = jax.random.bernoulli(jax.random.fold_in(key, 3), probability)
    affine = jnp.where(chance, affine, jnp.eye(2, 3))
  if crop < 1:
    area_key, place_key = jax.random.split(jax.random.fold_in(key, 4))
    side = jnp.sqrt(jax.random.uniform(area_key, minval=crop))
    places = jax.random.uniform(place_key, (2,), minval=-0.5, maxval=0.5)
    centre = (affine[:, :2] * (places * (1 - side))).sum(axis=1)
    affine = jnp.concatenate(
      [affine[:, :2] * side, (affine[:, 2] + centre)[:, None]], axis=1
    )
  return affine


def _turned(
  key: Key[Array, ""], rotation: float, zoom: float, shift: float
) -> Float[Array, "2 3"]:
  """Returns a turned, magnified and shifted image's places in the source."""
  angle_key, zoom_key, shift_key = jax.random.split(key, 3)
  degrees = jax.random.uniform(angle_key, minval=-rotation, maxval=rotation)
  size = jax.random.uniform(zoom_key, minval=1 - zoom, maxval=1 + zoom)
  moved = jax.random.uniform(shift_key, (2,), minval=-shift, maxval=shift)
  angle = jnp.deg2rad(degrees)
  cosine, sine = jnp.cos(angle), jnp.sin(angle)
  turn = jnp.array([[cosine, -sine], [sine, cosine]]) / size
  return jnp.concatenate([turn, moved[:, None]], axis=1)


def warp(
  images: UInt8[Array, "B h w C"] | Float[Array, "B h w C"],
  affines: Float[Array, "B 2 3"],
  image_size: int,
) -> Float[Array, "B S S C"]:
  """Samples images of S x S from the sources, warped and resized at once.

  Bilinear with half-pixel centres, so that the identity is `augment.resize`;
  places outside the source take its nearest edge. The rows of an affine are
  (y, x), its last column the shift.
  """
  _, height, width, _ = images.shape
  places = (jnp.arange(image_size) + 0.5) / image_size - 0.5
  grid = jnp.stack(
    [*jnp.meshgrid(places, places, indexing="ij"), jnp.ones([image_size] * 2)]
  )
  # Sums of three products: a matrix product may round to bfloat16. Over the
  # first axis: on CPUs, XLA of JAX 0.10 sums the third wrongly where B is 1.
  parts = jnp.moveaxis(affines, 2, 0)[..., None, None] * grid[:, None, None]
  sources = parts.sum(0) + 0.5  # [B, 2, S, S]
  y, x = _pixel(sources[:, 0], height), _pixel(sources[:, 1], width)
  images = images.astype(jnp.float32)
  if images[0].size > _MOST_MULTIPLIED:
    return gathered(images, y, x)
  return lax.platform_dependent(images, y, x, tpu=multiplied, default=gathered)


def _pixel(places: Float[Array, "B S S"], length: int) -> Float[Array, "B S S"]:
  """Returns places in pixels, from 0, the first one's centre, on."""
  return jnp.clip(places * length - 0.5, 0, length - 1)


def multiplied(
  images: Float[Array, "B h w C"],
  y: Float[Array, "B S S"],
  x: Float[Array, "B S S"],
) -> Float[Array, "B S S C"]:
  """Samples at pixels (y, x) by weighted sums over all rows and all columns.

  The weights, 1 less the distance, are 0 but for the two nearest. A TPU reads
  scattered pixels one by one, but multiplies matrices at once: XLA makes one
  loop of all this.
  """
  (batch, *size), (height, width, channels) = y.shape, images.shape[1:]
  of_rows, of_columns = (
    jnp.maximum(1 - jnp.abs(at.reshape(batch, 1, -1) - pixels[:, None]), 0)
    for at, pixels in ((y, jnp.arange(height)), (x, jnp.arange(width)))
  )
  # Without rounding to bfloat16.
  columns = jnp.einsum(
    "bhp,bhwc->bwcp", of_rows, images, precision=lax.Precision.HIGHEST
  )
  sampled = (columns * of_columns[:, :, None]).sum(1)
  return sampled.transpose(0, 2, 1).reshape(batch, *size, channels)


def gathered(
  images: Float[Array, "B h w C"],
  y: Float[Array, "B S S"],
  x: Float[Array, "B S S"],
) -> Float[Array, "B S S C"]:
  """The same by reading the four nearest pixels: the least work."""
  width = images.shape[2]
  y, y_share = _cells(y, images.shape[1])
  x, x_share = _cells(x, width)
  return jax.vmap(_bilinear)(images, y * (width - 1) + x, y_share, x_share)


def _cells(
  at: Float[Array, "B S S"], length: int
) -> tuple[Array, Float[Array, "B S S"]]:
  """Returns the pixel before each place, i32, and how far it is to the next."""
  before = jnp.minimum(jnp.floor(at), length - 2)
  return before.astype(jnp.int32), at - before


def _bilinear(image, cells, y_share, x_share):
  """Samples one image. Each cell's 4 corners lie together: one gather."""
  top = jnp.stack([image[:-1, :-1], image[:-1, 1:]], axis=2)
  bottom = jnp.stack([image[1:, :-1], image[1:, 1:]], axis=2)
  corners = jnp.stack([top, bottom], axis=2)  # [h - 1, w - 1, 2, 2, C]
  found = corners.reshape(-1, *corners.shape[2:])[cells]  # [S, S, 2, 2, C]
  x_share, y_share = x_share[..., None, None], y_share[..., None]
  rows = found[..., 0, :] * (1 - x_share) + found[..., 1, :] * x_share
  return rows[..., 0, :] * (1 - y_share) + rows[..., 1, :] * y_share


def rectangle(
  image_size: int,
  start: Float[Array, "2"],
  lengths: Float[Array, "2"],
) -> Bool[Array, "S S"]:
  """Marks the pixels whose centres lie in a rectangle; both are (y, x)."""
  places = (jnp.arange(image_size) + 0.5) / image_size
  inside = (places >= start[:, None]) & (places < (start + lengths)[:, None])
  return inside[0][:, None] & inside[1]


def erase(
  key: Key[Array, ""],
  image: Float[Array, "S S C"],
  *,
  probability: float,
  min_area: float,
  max_area: float,
  fill: str = "image_mean",
) -> Float[Array, "S S C"]:
  """Gives a random rectangle another content, with a probability.

  `fill` is "image_mean", that of each channel; "imagenet_mean", one colour; or
  "noise", normal numbers about that colour by ImageNet's deviation.
  Its share of the image is uniform from `min_area` to `max_area`, the log of
  its height to width within that of 3, as far as the image reaches.
  """
  chance_key, area_key, shape_key, place_key = jax.random.split(key, 4)
  area = jax.random.uniform(area_key, minval=min_area, maxval=max_area)
  bound = jnp.log(3.0)
  ratio = jnp.exp(jax.random.uniform(shape_key, minval=-bound, maxval=bound))
  lengths = jnp.sqrt(jnp.stack([area * ratio, area / ratio])).clip(max=1)
  start = jax.random.uniform(place_key, (2,)) * (1 - lengths)
  erased = rectangle(image.shape[0], start, lengths)
  erased &= jax.random.bernoulli(chance_key, probability)
  return jnp.where(erased[..., None], _content(key, image, fill), image)


def _content(
  key: Key[Array, ""], image: Float[Array, "S S C"], fill: str
) -> Float[Array, "..."]:
  """Returns what an erased rectangle shows; pixels run from 0 to 255."""
  if fill == "image_mean":
    return image.mean(axis=(0, 1))
  mean, deviation = jnp.array(IMAGENET_MEAN), jnp.array(IMAGENET_DEVIATION)
  if image.shape[-1] == 1:
    mean, deviation = mean.mean(keepdims=True), deviation.mean(keepdims=True)
  if fill == "imagenet_mean":
    return 255 * mean
  noise = jax.random.normal(jax.random.fold_in(key, 4), image.shape)
  return 255 * (mean + deviation * noise)
