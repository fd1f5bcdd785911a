"""Folded batch norm predicts what the layers one by one predict."""

import jax
import numpy as np
import pytest
from flax import traverse_util

from pattlite_jax import methods
from pattlite_jax.models.folding import fold_trunk
from pattlite_jax.training import setup
from pattlite_jax.weights import trunk


def with_folded(model, folded):
  return model.clone(trunk=model.trunk.clone(folded=folded))


def draw(config, cut):
  """Returns a network, variables with batch norms that matter, and images."""
  config.model.cut = cut
  config.model.image_size = 40
  rng = np.random.default_rng(0)
  drawn = traverse_util.path_aware_map(
    lambda path, leaf: (
      rng.uniform(0.5, 1.5, leaf.shape)
      if path[-1] in ("scale", "var")
      else rng.normal(0, 0.2, leaf.shape)
    ).astype(np.float32),
    methods.build(config, 3).shapes,
  )
  network = methods.build(config, 3).network
  model = with_folded(network.clone(axis_name=None), False)
  return model, drawn, rng.uniform(-1, 1, (4, 40, 40, 3)).astype(np.float32)


@pytest.mark.parametrize("cut", ["conv_dw_2_relu", "conv_pw_1", "conv_pw_1_bn"])
def test_predictions_stay_the_same(small_config, cut):
  model, drawn, images = draw(small_config, cut)
  folded = fold_trunk(drawn)
  expected = jax.jit(model.apply)(drawn, images)["logits"]
  got = jax.jit(with_folded(model, True).apply)(folded, images)["logits"]
  np.testing.assert_allclose(got, expected, atol=1e-5)
  assert np.ptp(expected) > 0.01


@pytest.mark.slow
def test_gradients_stay_the_same(small_config):
  model, drawn, images = draw(small_config, "conv_dw_2_relu")

  def loss(params, images, *, folded):
    variables = drawn | {"params": params}
    if folded:
      variables = fold_trunk(variables)
    outputs = with_folded(model, folded).apply(variables, images)
    return (outputs["logits"] * np.arange(12).reshape(4, 3)).sum()

  gradients = jax.jit(jax.grad(loss), static_argnames="folded")
  expected = gradients(drawn["params"], images, folded=False)
  got = gradients(drawn["params"], images, folded=True)
  for path, gradient in traverse_util.flatten_dict(expected).items():
    scale = np.abs(gradient).max()
    assert scale > 0 or path[-1] == "attention_scale"  # There is one patch.
    found = traverse_util.flatten_dict(got)[path]
    np.testing.assert_allclose(found, gradient, atol=1e-4 * scale)


@pytest.mark.slow
def test_the_imagenet_trunk_has_no_batch_norm_left(small_config):
  small_config.model.cut = "conv_pw_9_relu"
  small_config.model.image_size = 96
  variables = setup.init_variables(small_config, 3)
  folded = fold_trunk(variables)
  names = folded["params"]["trunk"].keys()
  assert names == {
    n for n in trunk.load_mobilenet_trunk()["params"] if not n.endswith("_bn")
  }
  assert folded["batch_stats"].keys() == {"attention_classifier"}
  assert "conv1_bn" in variables["params"]["trunk"]  # The input is left alone.
