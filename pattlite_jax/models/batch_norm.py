"""Batch normalisation over the valid rows of the global batch."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float


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
      batch_mean, batch_var, count = self._statistics(
        x.astype(jnp.float32), mask
      )
      if not self.is_initializing():
        mean.value = self._track(mean.value, batch_mean)
        tracked = batch_var
        if self.unbiased:
          tracked *= count / jnp.maximum(count - 1, 1)
        var.value = self._track(var.value, tracked)
    # One multiply-add per element, as inference folds it.
    gain = scale * jax.lax.rsqrt(batch_var + self.epsilon)
    return (x * gain + (bias - batch_mean * gain)).astype(x.dtype)

  def _statistics(
    self, x: Float[Array, "B *rest C"], mask: Bool[Array, "B"] | None
  ) -> tuple[Float[Array, "C"], Float[Array, "C"], Float[Array, ""]]:
    weights = jnp.ones(x.shape[0]) if mask is None else mask.astype(x.dtype)
    weights = weights.reshape(-1, *[1] * (x.ndim - 1))
    axes = tuple(range(x.ndim - 1))
    count = self._sum(weights.sum() * (x[0, ..., 0].size))
    mean = self._sum((x * weights).sum(axes)) / count
    var = self._sum((jnp.square(x - mean) * weights).sum(axes)) / count
    return mean, var, count

  def _sum(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    # psum's own transpose makes gradients flow through all devices' rows.
    return x if self.axis_name is None else jax.lax.psum(x, self.axis_name)

  def _track(
    self, average: Float[Array, "C"], value: Float[Array, "C"]
  ) -> Float[Array, "C"]:
    return self.momentum * average + (1 - self.momentum) * value
