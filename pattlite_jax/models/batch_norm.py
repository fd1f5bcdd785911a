"""Batch normalisation over the valid rows of the global batch.

Axes: B images, any axes between, C channels.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Bool, Float

from pattlite_jax.runtime import parallel


def _sum(x: Float[Array, "*n"], axis_name: str | None) -> Float[Array, "*n"]:
  """Adds up the devices' values."""
  return x if axis_name is None else lax.psum(x, axis_name)


def _rows(weights, x):
  return weights.reshape(-1, *[1] * (x.ndim - 1))


def moments(
  x: Float[Array, "B *rest C"],
  weights: Float[Array, "B"],
  count: Float[Array, ""],
  about: Float[Array, "C"],
  axis_name: str | None,
) -> tuple[Float[Array, "C"], Float[Array, "C"]]:
  """Returns mean and variance, f32, over all but the channels of all devices.

  Images have `weights`, 0 or 1, of which `count` values a channel are 1.
  `about` is a guess of the mean, which the result does not depend on. Gradients
  flow to x alone, reverse-mode ones.
  """
  on_cpu = parallel.platform() == "cpu"
  find = two_passes if on_cpu else one_pass
  return find(x, weights, count, about, axis_name)


def two_passes(x, weights, count, about, axis_name):
  """The mean first, then the squares about it: fastest on CPUs."""
  del about
  x, axes = x.astype(jnp.float32), tuple(range(x.ndim - 1))
  weights = _rows(weights, x)
  mean = _sum((x * weights).sum(axes), axis_name) / count
  squares = (jnp.square(x - mean) * weights).sum(axes)
  return mean, _sum(squares, axis_name) / count


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def one_pass(x, weights, count, about, axis_name):
  """Both sums at once, which XLA adds up beside what computes x.

  The sums are those about a mean that is nearly the batch's, as the difference
  of two large numbers would lose digits.
  """
  x, axes = x.astype(jnp.float32), tuple(range(x.ndim - 1))
  weighted = (x - about) * _rows(weights, x)
  sums = jnp.stack([weighted.sum(axes), (weighted * (x - about)).sum(axes)])
  mean, squares = _sum(sums, axis_name) / count
  return mean + about, jnp.maximum(squares - jnp.square(mean), 0)


def _one_pass_fwd(x, weights, count, about, axis_name):
  mean, var = one_pass(x, weights, count, about, axis_name)
  return (mean, var), (x, weights, count, mean)


def _one_pass_bwd(axis_name, residuals, cotangents):
  x, weights, count, mean = residuals
  # The rows of all devices have made the mean that each device uses.
  of_mean, of_var = _sum(jnp.stack(cotangents), axis_name) / count
  # The squares are least about the mean, so its change does not change them.
  gradient = (of_mean + 2 * of_var * (x - mean)) * _rows(weights, x)
  zeros = (jnp.zeros_like(part) for part in (weights, count, mean))
  return (gradient.astype(x.dtype), *zeros)


one_pass.defvjp(_one_pass_fwd, _one_pass_bwd)


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

  @nn.compact
  def __call__(
    self, x: Float[Array, "B *rest C"], mask: Bool[Array, "B"] | None = None
  ) -> Float[Array, "B *rest C"]:
    """Normalises each channel of x; rows where `mask` is False do not count."""
    shape = x.shape[-1:]
    scale, bias = jnp.ones(shape), jnp.zeros(shape)
    if self.affine:
      scale = self.param("scale", nn.initializers.ones, shape)
      bias = self.param("bias", nn.initializers.zeros, shape)
    mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
    var = self.variable("batch_stats", "var", jnp.ones, shape)
    if self.use_running_average:
      batch_mean, batch_var = mean.value, var.value
    else:
      weights = jnp.ones(x.shape[0]) if mask is None else mask
      weights = weights.astype(jnp.float32)
      count = _sum(weights.sum() * x[0, ..., 0].size, self.axis_name)
      about = lax.stop_gradient(mean.value)
      batch_mean, batch_var = moments(x, weights, count, about, self.axis_name)
      if not self.is_initializing():
        mean.value = self._track(mean.value, batch_mean)
        tracked = batch_var
        if self.unbiased:
          tracked *= count / jnp.maximum(count - 1, 1)
        var.value = self._track(var.value, tracked)
    # One multiply-add per element, as inference folds it.
    gain = scale * jax.lax.rsqrt(batch_var + self.epsilon)
    return (x * gain + (bias - batch_mean * gain)).astype(x.dtype)

  def _track(
    self, average: Float[Array, "C"], value: Float[Array, "C"]
  ) -> Float[Array, "C"]:
    return self.momentum * average + (1 - self.momentum) * value
