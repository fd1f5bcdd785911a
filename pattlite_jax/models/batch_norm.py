"""Batch normalisation over the valid rows of the global batch.

Axes: B images, any axes between, C channels, N columns a place (1, but on TPUs;
see `packed_columns`).
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Bool, Float, PyTree

from pattlite_jax.models.packed_columns import added_up, spread
from pattlite_jax.models.parameter import parameter
from pattlite_jax.runtime import parallel


def _sum(x: PyTree, axis_name: str | None) -> PyTree:
  """Adds up the devices' values; of several arrays in one exchange."""
  return x if axis_name is None else lax.psum(x, axis_name)


def _rows(weights, x):
  return weights.reshape(-1, *[1] * (x.ndim - 1))


def moments(
  x: Float[Array, "B *rest NC"],
  weights: Float[Array, "B"],
  count: Float[Array, ""],
  about: Float[Array, "C"],
  axis_name: str | None,
) -> tuple[Float[Array, "C"], Float[Array, "C"]]:
  """Returns mean and variance, f32, over all but the channels of all devices.

  Images have `weights`, 0 or 1, of which `count` values a channel are 1.
  `about` is a guess of the mean, which the result does not depend on.
  """
  on_cpu = parallel.platform() == "cpu"
  find = two_passes if on_cpu else one_pass
  return find(x, weights, count, about, axis_name)


def two_passes(x, weights, count, about, axis_name):
  """The mean first, then the squares about it: fastest on CPUs.

  Images are added up one by one, then weighed: XLA would write down products
  of all pixels and weights.
  """
  del about
  x, pixels = x.astype(jnp.float32), tuple(range(1, x.ndim - 1))
  mean = _sum(weights @ x.sum(pixels), axis_name) / count
  squares = weights @ jnp.square(x - mean).sum(pixels)
  return mean, _sum(squares, axis_name) / count


def one_pass(x, weights, count, about, axis_name):
  """Both sums at once, which XLA adds up beside what computes x.

  The sums are those about a mean that is nearly the batch's, as the difference
  of two large numbers would lose digits.
  """
  x, axes = x.astype(jnp.float32), tuple(range(x.ndim - 1))
  moved = x - spread(about, x)
  weighted = moved * _rows(weights, x)
  sums = [weighted.sum(axes), (weighted * moved).sum(axes)]
  sums = [added_up(s, about.shape[-1]) for s in sums]
  mean, squares = (s / count for s in _sum(sums, axis_name))
  return mean + about, jnp.maximum(squares - jnp.square(mean), 0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(6, 7))
def normalise(
  x: Float[Array, "B *rest NC"],
  weights: Float[Array, "B"],
  count: Float[Array, ""],
  about: Float[Array, "C"],
  scale: Float[Array, "C"],
  bias: Float[Array, "C"],
  epsilon: float,
  axis_name: str | None,
) -> tuple[
  Float[Array, "B *rest NC"], tuple[Float[Array, "C"], Float[Array, "C"]]
]:
  """Returns x by its own `moments`, scaled and moved, and the moments.

  Gradients flow from the first to x, scale and bias, reverse-mode ones. They
  keep x alone of what is as large, and read it twice.
  """
  mean, var = moments(x, weights, count, about, axis_name)
  return _by(x, mean, var, scale, bias, epsilon), (mean, var)


def _by(x, mean, var, scale, bias, epsilon):
  # One multiply-add per element, as inference folds it.
  gain = scale * lax.rsqrt(var + epsilon)
  moved = x * spread(gain, x) + spread(bias - mean * gain, x)
  return moved.astype(x.dtype)


def _normalise_fwd(x, weights, count, about, scale, bias, epsilon, axis_name):
  y, (mean, var) = normalise(
    x, weights, count, about, scale, bias, epsilon, axis_name
  )
  return (y, (mean, var)), (x, weights, count, scale, mean, var)


def _normalise_bwd(epsilon, axis_name, residuals, cotangents):
  x, weights, count, scale, mean, var = residuals
  cotangent, axes = cotangents[0].astype(jnp.float32), tuple(range(x.ndim - 1))
  inverse = lax.rsqrt(var + epsilon)
  channels = scale.shape[-1]
  of_bias = added_up(cotangent.sum(axes), channels)
  of_products = added_up((cotangent * x).sum(axes), channels)
  of_scale = (of_products - mean * of_bias) * inverse
  # The rows of all devices have made the moments that each device uses.
  by_mean, by_var = (s / count for s in _sum([of_bias, of_scale], axis_name))
  slope = by_var * inverse
  mix = spread(slope, x) * x + spread(by_mean - slope * mean, x)
  of_x = cotangent - mix * _rows(weights, x)
  of_x = (spread(scale * inverse, x) * of_x).astype(x.dtype)
  zeros = (jnp.zeros_like(part) for part in (weights, count, mean))
  return (of_x, *zeros, of_scale, of_bias)


normalise.defvjp(_normalise_fwd, _normalise_bwd)


class BatchNorm(nn.Module):
  """Keras' BatchNormalization (momentum 0.99, epsilon 1e-3), by default.

  flax.linen.BatchNorm averages the devices' masked means with equal weights,
  which is wrong when a padded batch leaves them unequal numbers of rows; here
  sums and counts are added over `axis_name` first. Statistics are f32.
  """

  use_running_average: bool
  axis_name: str | None = None
  momentum: float = 0.99
  epsilon: float = 1e-3
  affine: bool = True  # False for no learned scale and bias.
  # Tracks n / (n - 1) times the variance that it normalises by, as PyTorch.
  unbiased: bool = False
  columns: int = 1  # Of x in a place; see `packed_columns`.

  @nn.compact
  def __call__(
    self, x: Float[Array, "B *rest NC"], mask: Bool[Array, "B"] | None = None
  ) -> Float[Array, "B *rest NC"]:
    """Normalises each channel of x; rows where `mask` is False do not count."""
    shape = (x.shape[-1] // self.columns,)
    scale, bias = jnp.ones(shape), jnp.zeros(shape)
    if self.affine:
      scale = parameter(self, "scale", nn.initializers.ones, shape)
      bias = parameter(self, "bias", nn.initializers.zeros, shape)
    mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
    var = self.variable("batch_stats", "var", jnp.ones, shape)
    if self.use_running_average:
      return _by(x, mean.value, var.value, scale, bias, self.epsilon)
    weights = jnp.ones(x.shape[0]) if mask is None else mask
    weights = weights.astype(jnp.float32)
    pixels = x[0, ..., 0].size * self.columns
    count = _sum(weights.sum() * pixels, self.axis_name)
    y, (batch_mean, batch_var) = normalise(
      x, weights, count, mean.value, scale, bias, self.epsilon, self.axis_name
    )
    if not self.is_initializing():
      mean.value = self._track(mean.value, batch_mean)
      if self.unbiased:
        batch_var *= count / jnp.maximum(count - 1, 1)
      var.value = self._track(var.value, batch_var)
    return y

  def _track(
    self, average: Float[Array, "C"], value: Float[Array, "C"]
  ) -> Float[Array, "C"]:
    return self.momentum * average + (1 - self.momentum) * value
