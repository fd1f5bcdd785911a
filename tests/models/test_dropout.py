import jax
import jax.numpy as jnp
import numpy as np

from pattlite_jax.models.dropout import Dropout


def drop(x, *, train=True, **fields):
  key = jax.random.key(0)
  return Dropout(**fields).apply({}, x, train=train, rngs={"dropout": key})


def test_drops_the_rate_and_keeps_the_mean():
  x = jnp.ones((64, 1000))
  y = drop(x, rate=0.2)
  dropped = float((y == 0).mean())
  assert abs(dropped - 0.2) < 0.01
  np.testing.assert_allclose(y[y != 0], 1 / 0.8, rtol=1e-6)
  assert abs(float(y.mean()) - 1) < 0.02


def test_inference_changes_nothing():
  x = jnp.ones((4, 10))
  np.testing.assert_array_equal(drop(x, rate=0.5, train=False), x)


def test_whole_channels_go_together_and_differ_between_images():
  y = drop(jnp.ones((16, 3, 3, 40)), rate=0.5, whole_channels=True)
  first = y[:, :1, :1, :]
  np.testing.assert_array_equal(y, jnp.broadcast_to(first, y.shape))
  assert not bool((first == first[:1]).all())
