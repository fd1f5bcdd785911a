"""From the files of images, JPEG or PNG, to pixels, in TensorFlow."""

import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np


@functools.lru_cache
def decoder(
  image_shape: tuple[int, int, int], channels: int, mirror: bool
) -> Callable[[np.ndarray], Any]:
  """Returns `decode` for any number of files, outside of other graphs."""
  import tensorflow as tf

  return tf.function(
    lambda encoded: decode(encoded, image_shape, channels, mirror),
    input_signature=[tf.TensorSpec([None], tf.string)],
    autograph=False,
  )


def decode(
  encoded: Any, image_shape: tuple[int, int, int], channels: int, mirror: bool
) -> Any:
  """Returns u8[b, H, W, C] of string[b], decoded side by side."""
  import tensorflow as tf

  def one(content):
    image = resized(pixels_of(content, channels), image_shape[:2])
    return tf.ensure_shape(image[..., : image_shape[2]], image_shape)

  images = tf.map_fn(
    one,
    encoded,
    fn_output_signature=tf.TensorSpec(image_shape, tf.uint8),
    parallel_iterations=2 * (os.cpu_count() or 1),
  )
  return images[:, :, ::-1] if mirror else images


def pixels_of(content: Any, channels: int) -> Any:
  """Returns u8[H, W, channels] of a JPEG or PNG, as Pillow decodes it."""
  import tensorflow as tf

  # It reads PNG too; its default for JPEG is faster, but rounds more.
  return tf.io.decode_jpeg(
    content, channels=channels, dct_method="INTEGER_ACCURATE"
  )


def resized(image: Any, size: tuple[int, int]) -> Any:
  """Returns u8[h, w, C] of u8[H, W, C]; bilinear, antialiased."""
  import tensorflow as tf

  def resize():
    found = tf.image.resize(image, size, method="bilinear", antialias=True)
    rounded = tf.clip_by_value(tf.round(found), 0, 255)
    return tf.cast(rounded, tf.uint8)

  has_size = tf.reduce_all(tf.shape(image)[:2] == size)
  return tf.cond(has_size, lambda: image, resize)
