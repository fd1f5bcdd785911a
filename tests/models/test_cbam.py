"""What CBAM takes the largest value by."""

import jax
import jax.numpy as jnp
import numpy as np

from pattlite_jax.models import cbam


def test_the_largest_value_hands_its_gradient_to_the_first_of_its_like():
  x = jnp.array([[1.0, 3.0, 3.0], [6.0, 6.0, 0.0]])
  np.testing.assert_array_equal(cbam.take_largest(x, -1), [3.0, 6.0])
  np.testing.assert_array_equal(cbam.take_largest(x, 0), [6.0, 6.0, 3.0])
  weights = jnp.array([1.0, 10.0])
  gradient = jax.grad(lambda x: cbam.take_largest(x, 1) @ weights)(x)
  np.testing.assert_array_equal(gradient, [[0, 1, 0], [10, 0, 0]])
