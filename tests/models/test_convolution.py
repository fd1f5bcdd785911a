"""Convolutions of many channels against XLA's own, and in what order."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_step
from flax import linen as nn

from pattlite_jax.config import METHODS
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.models.convolution import Conv, conv
from pattlite_jax.runtime import parallel
from pattlite_jax.training import dispatch, setup

# The order of axes in which XLA's CPU backend is fast, as StableHLO has it.
_FAST = "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"


@pytest.mark.parametrize("padding", ["SAME", "VALID", 1, ((2, 0), (0, 3))])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 3)])
@pytest.mark.parametrize("taps", [(3, 3), (1, 3), (4, 1), (7, 7)])
def test_value_and_gradients_are_those_of_flax(taps, strides, padding):
  rng = np.random.default_rng(0)
  images = rng.normal(size=(3, 9, 8, 4)).astype("f4")
  ours = Conv(5, taps, strides, padding=padding)
  theirs = nn.Conv(5, taps, strides, padding=padding)
  variables = ours.init(jax.random.key(0), images)

  def run(network):
    y, vjp = jax.vjp(network.apply, variables, images)
    return y, vjp(rng.normal(size=y.shape).astype("f4"))

  rng = np.random.default_rng(1)
  found = run(ours)
  rng = np.random.default_rng(1)
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5),
    found,
    run(theirs),
  )


def test_only_a_plain_convolution_is_taken():
  images, kernel = jnp.zeros((1, 4, 4, 2)), jnp.zeros((3, 3, 2, 2))
  with pytest.raises(ValueError, match="feature_group_count is 2, but must be"):
    conv(images, kernel, (1, 1), "SAME", feature_group_count=2)
  with pytest.raises(ValueError, match="rhs_dilation"):
    Conv(2, (3, 3), kernel_dilation=2).init(jax.random.key(0), images)


@pytest.mark.parametrize("method", METHODS)
def test_a_step_on_cpus_has_its_convolutions_in_the_fast_order(
  small_config, method
):
  """In another order the step takes plain loops, far slower."""
  config = small_step.configure(small_config, method)
  assert orders(config) <= {_FAST}


@pytest.mark.parametrize("trunk", ["resnet18", "ir50"])
def test_so_it_is_with_the_other_trunks(small_config, trunk):
  config = small_step.configure(small_config, "baseline")
  config.model.trunk = trunk
  assert orders(config) == {_FAST}


def orders(config):
  """Returns the orders of axes of the convolutions of a training step."""
  faces = small_step.faces()
  stage = setup.stage(config, "stage1", faces)
  if stage.method.relabel is not None:
    faces = examples_lib.numbered(faces)
  stack = jax.tree.map(
    lambda x: x[None, None], examples_lib.gather(faces, np.arange(6))
  )
  state = jax.eval_shape(stage.start, stage.method.shapes)
  step = parallel.pmap_train_step(dispatch.in_turn(stage.step))
  lowered = step.lower(state, stack, (jax.random.key(0),))
  return set(re.findall(r"dim_numbers = (\S+ [^>]*->.*?\])", lowered.as_text()))
