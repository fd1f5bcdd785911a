"""A batch's statistics: one way a platform, one result, and its gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pattlite_jax.models import batch_norm
from pattlite_jax.runtime import parallel

PIXELS = 4


@pytest.fixture(scope="module")
def batch():
  """Two devices' rows, some of them padding, far from a mean of 0."""
  rng = np.random.default_rng(0)
  x = rng.normal(30, 2, (2, 3, PIXELS, 5)).astype(np.float32)
  weights = np.array([[1, 1, 1], [1, 0, 0]], np.float32)
  return x, weights, rng.normal(size=x.shape).astype(np.float32)


def on_devices(normalise, batch, platform="cpu"):
  """Returns what each device has: outputs, moments, and all gradients.

  The loss weighs each output otherwise, those of padding too.
  """
  scale, bias = jnp.linspace(0.5, 2.0, 5), jnp.linspace(-1.0, 1.0, 5)

  def of_device(x, weights, weighing):
    count = jax.lax.psum(weights.sum() * PIXELS, "devices")

    def loss(x, scale, bias):
      about = jnp.full(5, 29.0)
      y, moments = normalise(
        x, weights, count, about, scale, bias, 1e-3, "devices"
      )
      return (jnp.sin(y) * weighing).sum(), (y, *moments)

    return jax.grad(loss, (0, 1, 2), has_aux=True)(x, scale, bias)

  with parallel.programs_for(platform):
    return jax.jit(jax.vmap(of_device, axis_name="devices"))(*batch)


def by_definition(x, weights, count, about, scale, bias, epsilon, axis_name):
  """Has the gradients that autodiff finds."""
  del about
  weights = weights[:, None, None]
  mean = jax.lax.psum((x * weights).sum((0, 1)), axis_name) / count
  squares = jnp.square(x - mean) * weights
  var = jax.lax.psum(squares.sum((0, 1)), axis_name) / count
  y = (x - mean) / jnp.sqrt(var + epsilon) * scale + bias
  return y, (mean, var)


@pytest.fixture(scope="module")
def expected(batch):
  return on_devices(by_definition, batch)


def test_the_moments_are_numpys_of_what_counts(batch, expected):
  x, weights, _ = batch
  rows = x[weights > 0].reshape(-1, 5)
  _, (_, mean, var) = expected
  for device in (0, 1):
    np.testing.assert_allclose(mean[device], rows.mean(0), rtol=1e-6)
    np.testing.assert_allclose(var[device], rows.var(0), rtol=1e-5)


@pytest.mark.parametrize("platform", ["cpu", "tpu"])
def test_each_way_gives_the_same_and_its_gradients(batch, expected, platform):
  """About a guess of the mean; about 0 one pass would lose three digits."""
  found = on_devices(batch_norm.normalise, batch, platform)
  for own, other in zip(
    jax.tree.leaves(found), jax.tree.leaves(expected), strict=True
  ):
    scale = np.abs(other).max()
    np.testing.assert_allclose(own, other, atol=1e-5 * scale)


def test_one_pass_exchanges_both_sums_at_once(batch):
  """Written as two sums, of which XLA makes one exchange of two arrays."""
  x, weights, _ = batch

  def statistics(x, weights):
    count = weights[0].sum() * PIXELS
    return batch_norm.moments(x[0], weights[0], count, jnp.zeros(5), "devices")

  def exchanges(platform):
    mapped = jax.shard_map(
      lambda *values: statistics(*values),  # Traced anew.
      mesh=jax.sharding.Mesh(jax.devices()[:2], ("devices",)),
      in_specs=jax.P("devices"),
      out_specs=jax.P(),
      check_vma=False,
    )
    with parallel.programs_for(platform):
      compiled = jax.jit(mapped).lower(x, weights).compile()
    return compiled.as_text().count(" all-reduce(")

  assert (exchanges("tpu"), exchanges("cpu")) == (1, 2)
