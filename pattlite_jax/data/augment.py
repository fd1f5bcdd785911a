"""Preparation of images on the device, inside the step.

Numerically as the layers that PAtt-Lite's notebook has inside its model:
Keras' Resizing (bilinear), RandomFlip, RandomContrast, and MobileNet's
preprocessing. Pixels run from 0 to 255 until `scale`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key, UInt8

from pattlite_jax.data import augment_colour, augment_geometry

# What the keys of draws beyond flip and contrast are folded with. Those two
# draw from a split key, whose halves are the key folded with 0 and 1. Another
# number would change what the seeds of the kept results give.
_AFFINE, _ERASING, _JITTER, _GREY, _NOISE, _EITHER = 2, 4, 5, 6, 7, 8
_ERASING_AGAIN = 9


def resize(
  images: UInt8[Array, "B h w C"] | Float[Array, "B h w C"], image_size: int
) -> Float[Array, "B S S C"]:
  """Keras' Resizing: bilinear, half-pixel centres, no antialiasing."""
  batch, _, _, channels = images.shape
  shape = (batch, image_size, image_size, channels)
  images = images.astype(jnp.float32)
  return jax.image.resize(images, shape, "bilinear", antialias=False)


def flip(
  images: Float[Array, "B H W C"], flipped: Bool[Array, "B"]
) -> Float[Array, "B H W C"]:
  """Mirrors the images where `flipped`."""
  return jnp.where(flipped[:, None, None, None], images[:, :, ::-1], images)


def adjust_contrast(
  images: Float[Array, "B H W C"], factors: Float[Array, "B"]
) -> Float[Array, "B H W C"]:
  """Keras' RandomContrast: scales each channel about its mean, clips."""
  # Over one axis after the other: a CPU adds whole lines of colours at once.
  means = images.mean(axis=1).mean(axis=1)[:, None, None]
  adjusted = (images - means) * factors[:, None, None, None] + means
  return jnp.clip(adjusted, 0, 255)


def scale(images: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
  """MobileNet's preprocessing: [0, 255] -> [-1, 1]."""
  return images / 127.5 - 1


def prepare(
  images: UInt8[Array, "B h w C"], *, image_size: int
) -> Float[Array, "B S S C"]:
  """Returns the network's input for evaluation."""
  return scale(resize(images, image_size))


def augment(
  keys: Key[Array, "B"],
  images: UInt8[Array, "B h w C"],
  *,
  image_size: int,
  random_flip: bool,
  random_contrast: float,
  random_rotation: float = 0.0,
  random_zoom: float = 0.0,
  random_shift: float = 0.0,
  warp_share: float = 1.0,
  random_crop: float = 1.0,
  random_noise: float = 0.0,
  noise_deviation: float = 5.5,
  flip_or_noise: float = 0.0,
  random_jitter: float = 0.0,
  jitter_strength: float = 0.4,
  jitter_hue: float = 0.1,
  random_grey: float = 0.0,
  random_erasing: float = 0.0,
  erasing_min_area: float = 0.02,
  erasing_max_area: float = 0.25,
  erasing_fill: str = "image_mean",
  erase_again: bool = False,
) -> Float[Array, "B S S C"]:
  """Returns the network's input for training; each image has its own key.

  The contrast factor is uniform in [1 - random_contrast, 1 + random_contrast].
  `random_noise`, `flip_or_noise`, `random_jitter`, `random_grey` and
  `random_erasing` are probabilities; for the others see `augment_geometry`.
  Noise is that of the source, before it is resized. With `erase_again` all is
  the same but for the gap, which is another.
  """
  if random_noise or flip_or_noise:
    images = _noise_or_flip(
      keys, images, random_noise, flip_or_noise, noise_deviation
    )
  if random_rotation or random_zoom or random_shift or random_crop < 1:
    affines = jax.vmap(
      lambda key: augment_geometry.random_affine(
        key,
        rotation=random_rotation,
        zoom=random_zoom,
        shift=random_shift,
        crop=random_crop,
        probability=warp_share,
      )
    )(_folded(keys, _AFFINE))
    images = augment_geometry.warp(images, affines, image_size)
  else:
    images = resize(images, image_size)
  flip_keys, contrast_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
  if random_flip:
    images = flip(images, jax.vmap(jax.random.bernoulli)(flip_keys))
  if random_contrast:
    factors = _factors(contrast_keys, random_contrast)
    images = adjust_contrast(images, factors)
  if random_jitter:
    images = jax.vmap(
      lambda key, image: augment_colour.random_jitter(
        key,
        image,
        probability=random_jitter,
        strength=jitter_strength,
        hue=jitter_hue,
      )
    )(_folded(keys, _JITTER), images)
  if random_grey:
    images = jax.vmap(
      lambda key, image: augment_colour.random_grey(
        key, image, probability=random_grey
      )
    )(_folded(keys, _GREY), images)
  if random_erasing:
    images = jax.vmap(
      lambda key, image: augment_geometry.erase(
        key,
        image,
        probability=random_erasing,
        min_area=erasing_min_area,
        max_area=erasing_max_area,
        fill=erasing_fill,
      )
    )(_folded(keys, _ERASING_AGAIN if erase_again else _ERASING), images)
  return scale(images)


def _noise_or_flip(
  keys: Key[Array, "B"],
  images: UInt8[Array, "B h w C"],
  random_noise: float,
  flip_or_noise: float,
  deviation: float,
) -> Float[Array, "B h w C"]:
  """Noise for some images; a mirror image or noise, one of them, for some."""

  def of_image(noise_key, either_key, image):
    chance_key, noise_key = jax.random.split(noise_key)
    noisy = augment_colour.add_noise(noise_key, image, deviation)
    draw = jax.random.uniform(either_key)  # Below half of the share: a flip.
    either = jnp.where(draw < flip_or_noise / 2, image[:, ::-1], noisy)
    image = jnp.where(draw < flip_or_noise, either, image)
    chance = jax.random.bernoulli(chance_key, random_noise)
    return jnp.where(chance, noisy, image)

  floats = images.astype(jnp.float32)
  return jax.vmap(of_image)(
    _folded(keys, _NOISE), _folded(keys, _EITHER), floats
  )


def _folded(keys: Key[Array, "B"], number: int) -> Key[Array, "B"]:
  return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)


def _factors(keys: Key[Array, "B"], width: float) -> Float[Array, "B"]:
  """Draws from 1 +- width, a number a key."""
  return jax.vmap(
    lambda key: jax.random.uniform(key, minval=1 - width, maxval=1 + width)
  )(keys)
