"""Tests of models/parameter.py beside Flax's own `param`."""

import flax.errors
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pattlite_jax.models.parameter import parameter


class Ours(nn.Module):
  @nn.compact
  def __call__(self, x):
    init = nn.initializers.lecun_normal()
    return x @ parameter(self, "kernel", init, (x.shape[-1], 3))


class Flaxs(nn.Module):
  @nn.compact
  def __call__(self, x):
    init = nn.initializers.lecun_normal()
    return x @ self.param("kernel", init, (x.shape[-1], 3))


def test_is_made_and_applied_as_flax_does():
  key, x = jax.random.key(3), jnp.ones((2, 4))
  ours, flaxs = Ours().init(key, x), Flaxs().init(key, x)
  jax.tree.map(np.testing.assert_array_equal, ours, flaxs)
  np.testing.assert_array_equal(Ours().apply(ours, x), Flaxs().apply(ours, x))


@pytest.mark.parametrize("module", [Ours, Flaxs])
@pytest.mark.parametrize(
  ("variables", "error"),
  [
    (
      {"params": {"kernel": jnp.ones((5, 3))}},
      flax.errors.ScopeParamShapeError,
    ),
    ({"params": {"other": jnp.ones(3)}}, flax.errors.ScopeParamNotFoundError),
    ({}, flax.errors.ScopeCollectionNotFound),
  ],
)
def test_what_does_not_fit_is_refused_as_by_flax(module, variables, error):
  with pytest.raises(error, match="kernel"):
    module().apply(variables, jnp.ones((2, 4)))


def test_what_exists_is_not_made_again():
  def init(key, shape):
    raise AssertionError

  class Layer(nn.Module):
    @nn.compact
    def __call__(self):
      return parameter(self, "kernel", init, (2, 3))

  kernel = np.arange(6.0).reshape(2, 3)
  found = Layer().apply({"params": {"kernel": kernel}})
  np.testing.assert_array_equal(found, kernel)
