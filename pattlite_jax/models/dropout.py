"""Dropout whose draws do not depend on how a batch is split over devices."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float


class Dropout(nn.Module):
  """Keras' Dropout, and its SpatialDropout2D with `whole_channels`.

  Each row draws from the key of its place in the global batch, so one device
  and many drop the same units.
  """

  rate: float
  whole_channels: bool = False  # One draw a channel, for all positions.
  axis_name: str | None = None  # Devices over which the batch is split.

  @nn.compact
  def __call__(
    self, x: Float[Array, "B *rest C"], *, train: bool
  ) -> Float[Array, "B *rest C"]:
    if not train or self.rate == 0.0:
      return x
    rows = jnp.arange(x.shape[0])
    if self.axis_name is not None:
      rows += jax.lax.axis_index(self.axis_name) * x.shape[0]
    key = self.make_rng("dropout")
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)
    shape = x.shape[1:]
    if self.whole_channels:
      shape = (1,) * (x.ndim - 2) + shape[-1:]
    keep = jax.vmap(lambda k: jax.random.bernoulli(k, 1 - self.rate, shape))(
      keys
    )
    return jnp.where(keep, x / (1 - self.rate), 0)
