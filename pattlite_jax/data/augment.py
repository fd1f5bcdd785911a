"""Preparation of images on the device, inside the step.

Numerically as the layers that PAtt-Lite's notebook has inside its model:
Keras' Resizing (bilinear), RandomFlip, RandomContrast, and MobileNet's
preprocessing. Pixels run from 0 to 255 until `scale`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key, UInt8

from pattlite_jax.data import augment_geometry

# What the keys of draws beyond flip and contrast are folded with. Those two
# draw from a split key, whose halves are the key folded with 0 and 1. Another
# number would change what the seeds of the kept results give.
_AFFINE, _ERASING = 2, 4


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
  means = images.mean(axis=(1, 2), keepdims=True)
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
  random_erasing: float = 0.0,
  erasing_min_area: float = 0.02,
  erasing_max_area: float = 0.25,
) -> Float[Array, "B S S C"]:
  """Returns the network's input for training; each image has its own key.

  The contrast factor is uniform in [1 - random_contrast, 1 + random_contrast].
  For the others see `augment_geometry`; `random_erasing` is a probability.
  """
  if random_rotation or random_zoom or random_shift:
    affines = jax.vmap(
      lambda key: augment_geometry.random_affine(
        key, rotation=random_rotation, zoom=random_zoom, shift=random_shift
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
  if random_erasing:
    images = jax.vmap(
      lambda key, image: augment_geometry.erase(
        key,
        image,
        probability=random_erasing,
        min_area=erasing_min_area,
        max_area=erasing_max_area,
      )
    )(_folded(keys, _ERASING), images)
  return scale(images)


def _folded(keys: Key[Array, "B"], number: int) -> Key[Array, "B"]:
  return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)


def _factors(keys: Key[Array, "B"], width: float) -> Float[Array, "B"]:
  """Draws from 1 +- width, a number a key."""
  return jax.vmap(
    lambda key: jax.random.uniform(key, minval=1 - width, maxval=1 + width)
  )(keys)
