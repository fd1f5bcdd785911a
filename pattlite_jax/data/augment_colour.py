"""Random colours and noise, on the device; pixels run from 0 to 255.

Changes of colour are those of torchvision, whose ColorJitter draws its order,
too: here it is brightness, contrast, saturation, hue.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

_LUMA = (0.299, 0.587, 0.114)  # Shares of red, green and blue in grey.


def grey(image: Float[Array, "H W C"]) -> Float[Array, "H W 1"]:
  """Returns the brightness of each pixel."""
  if image.shape[-1] == 1:
    return image
  return (image * jnp.array(_LUMA)).sum(axis=-1, keepdims=True)


def jitter(
  image: Float[Array, "H W C"],
  *,
  brightness: Float[Array, ""],
  contrast: Float[Array, ""],
  saturation: Float[Array, ""],
  hue: Float[Array, ""],
) -> Float[Array, "H W C"]:
  """Multiplies brightness, contrast and saturation, and turns the hue.

  `hue` is a share of the whole circle. Grey images have the first two alone.
  """
  image = jnp.clip(image * brightness, 0, 255)
  mean = grey(image).mean()
  image = jnp.clip(mean + (image - mean) * contrast, 0, 255)
  if image.shape[-1] == 1:
    return image
  level = grey(image)
  image = jnp.clip(level + (image - level) * saturation, 0, 255)
  return turn_hue(image, hue)


def turn_hue(
  image: Float[Array, "H W 3"], hue: Float[Array, ""]
) -> Float[Array, "H W 3"]:
  """Turns the hue of HSV by a share of the circle, keeping S and V."""
  highest, lowest = image.max(axis=-1), image.min(axis=-1)
  spread = highest - lowest
  safe = jnp.where(spread > 0, spread, 1)
  red, green, blue = (image[..., i] for i in range(3))
  sixths = jnp.where(
    highest == red,
    (green - blue) / safe,
    jnp.where(
      highest == green, 2 + (blue - red) / safe, 4 + (red - green) / safe
    ),
  )
  turned = (sixths + 6 * hue) % 6

  # How far each colour falls below the highest, by the hue's distance from it.
  def channel(offset):
    k = (offset + turned) % 6
    return highest - spread * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)

  return jnp.stack([channel(5), channel(3), channel(1)], axis=-1)


def random_jitter(
  key: Key[Array, ""],
  image: Float[Array, "H W C"],
  *,
  probability: float,
  strength: float,
  hue: float,
) -> Float[Array, "H W C"]:
  """`jitter` with a probability; factors within 1 +- strength, hue +- hue."""
  chance_key, factor_key, hue_key = jax.random.split(key, 3)
  factors = jax.random.uniform(
    factor_key, (3,), minval=1 - strength, maxval=1 + strength
  )
  jittered = jitter(
    image,
    brightness=factors[0],
    contrast=factors[1],
    saturation=factors[2],
    hue=jax.random.uniform(hue_key, minval=-hue, maxval=hue),
  )
  return jnp.where(
    jax.random.bernoulli(chance_key, probability), jittered, image
  )


def random_grey(
  key: Key[Array, ""], image: Float[Array, "H W C"], *, probability: float
) -> Float[Array, "H W C"]:
  """Takes the colours away, with a probability."""
  without = jnp.broadcast_to(grey(image), image.shape)
  return jnp.where(jax.random.bernoulli(key, probability), without, image)


def add_noise(
  key: Key[Array, ""], image: Float[Array, "H W C"], deviation: float
) -> Float[Array, "H W C"]:
  """Adds normal noise to each number of the image, and clips."""
  noise = deviation * jax.random.normal(key, image.shape)
  return jnp.clip(image + noise, 0, 255)
