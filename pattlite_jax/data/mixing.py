"""Mixup (arXiv 1710.09412) and CutMix (1905.04899) of the images of a batch."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from pattlite_jax.data import augment_geometry


class Rows(NamedTuple):
  """B rows of a batch."""

  images: Float[Array, "B S S C"]
  targets: Float[Array, "B K"]
  mask: Bool[Array, "B"]  # False for padding.


def mix(
  key: Key[Array, ""],
  rows: Int[Array, "B"],
  own: Rows,
  everyone: Rows,
  *,
  mixup_alpha: float,
  cutmix_alpha: float,
) -> tuple[Float[Array, "B S S C"], Float[Array, "B K"]]:
  """Mixes each image and its target with another of the global batch.

  `rows` are the places of `own` among `everyone`, the global batch, so that the
  mixtures do not depend on how many devices share it. An image keeps a share
  out of Beta(alpha, alpha), its own draw; an alpha of 0 leaves a kind out, and
  with both a coin decides for the batch. Padding mixes with nothing.
  """
  images, targets, mask = own
  coin_key, partner_key, own_key = jax.random.split(key, 3)
  count = len(everyone.mask)
  offset = jax.random.randint(partner_key, (), 1, max(count, 2))
  others = Rows(*(x[(rows + offset) % count] for x in everyone))
  keys = jax.vmap(lambda row: jax.random.fold_in(own_key, row))(rows)
  keep = jnp.ones(images.shape[:3])  # Of each pixel: 1 is the image's own.
  if mixup_alpha:
    keep = jax.vmap(
      lambda key: jnp.full(
        images.shape[1:3], jax.random.beta(key, mixup_alpha, mixup_alpha)
      )
    )(keys)
  if cutmix_alpha:
    cut = jax.vmap(lambda key: _uncut(key, images.shape[1], cutmix_alpha))(keys)
    mixup = jax.random.bernoulli(coin_key) if mixup_alpha else False
    keep = jnp.where(mixup, keep, cut)
  both = mask & others.mask
  keep = jnp.where(both[:, None, None], keep, 1.0)
  shares = keep.mean(axis=(1, 2))[:, None]
  keep = keep[..., None]
  return (
    keep * images + (1 - keep) * others.images,
    shares * targets + (1 - shares) * others.targets,
  )


def _uncut(
  key: Key[Array, ""], image_size: int, alpha: float
) -> Float[Array, "S S"]:
  """Returns 0 in a rectangle about a random place, 1 around it."""
  share_key, place_key = jax.random.split(key)
  share = jax.random.beta(share_key, alpha, alpha)
  lengths = jnp.full(2, jnp.sqrt(1 - share))
  start = jax.random.uniform(place_key, (2,)) - lengths / 2
  inside = augment_geometry.rectangle(image_size, start, lengths)
  return 1.0 - inside
