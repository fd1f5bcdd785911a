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
  return x, weights, rng.normal(size=(2, 2, 5)).astype(np.float32)


def on_devices(statistics, batch):
  """Returns mean, variance and the gradient of x, of each device.

  The loss weighs mean and variance otherwise on each device.
  """

  def of_device(x, weights, weighing):
    count = jax.lax.psum(weights.sum() * PIXELS, "devices")

    def loss(x):
      mean, var = statistics(x, weights, count, jnp.full(5, 29.0), "devices")
      return (mean * weighing[0] + jnp.sin(var) * weighing[1]).sum(), (
        mean,
        var,
      )

    gradient, found = jax.grad(loss, has_aux=True)(x)
    return *found, gradient

  return jax.jit(jax.vmap(of_device, axis_name="devices"))(*batch)


@pytest.fixture(scope="module")
def expected(batch):
  """Those of autodiff of the definition."""
  return on_devices(batch_norm.two_passes, batch)


def test_the_mean_and_the_variance_are_numpys_of_what_counts(batch, expected):
  x, weights, _ = batch
  rows = x[weights > 0].reshape(-1, 5)
  for device in (0, 1):
    np.testing.assert_allclose(expected[0][device], rows.mean(0), rtol=1e-6)
    np.testing.assert_allclose(expected[1][device], rows.var(0), rtol=1e-5)


@pytest.mark.parametrize(
  "statistics", [batch_norm.one_pass, batch_norm.moments]
)
def test_each_way_gives_the_same_and_its_gradients(batch, expected, statistics):
  """About a guess of the mean; about 0 one pass would lose three digits."""
  found = on_devices(statistics, batch)
  for own, other in zip(found, expected, strict=True):
    np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)


def test_a_tpu_exchanges_both_sums_at_once(batch):
  x, weights, _ = batch

  def statistics(x, weights):
    count = weights.sum() * PIXELS
    return batch_norm.moments(x, weights, count, jnp.zeros(5), "devices")

  def exchanges(platform):
    mapped = jax.shard_map(
      lambda *values: statistics(*values),  # Traced anew.
      mesh=jax.sharding.Mesh(jax.devices()[:1], ("devices",)),
      in_specs=jax.P("devices"),
      out_specs=jax.P(),
      check_vma=False,
    )
    with parallel.programs_for(platform):
      lowered = jax.jit(mapped).lower(x[0], weights[0])
    return lowered.as_text().count("stablehlo.all_reduce")

  assert (exchanges("tpu"), exchanges("cpu")) == (1, 2)
