"""Folded batch norm predicts what the layers one by one predict."""

import jax
import numpy as np
import pytest
from flax import traverse_util

from pattlite_jax import build
from pattlite_jax.models.folding import fold_batch_norm
from pattlite_jax.weights import trunk


@pytest.mark.parametrize("cut", ["conv_dw_2_relu", "conv_pw_1", "conv_pw_1_bn"])
def test_predictions_stay_the_same(small_config, cut):
  small_config.model.cut = cut
  small_config.model.image_size = 40
  rng = np.random.default_rng(0)
  shapes = build.variable_shapes(small_config, 3)
  drawn = traverse_util.path_aware_map(
    lambda path, leaf: (
      rng.uniform(0.5, 1.5, leaf.shape)
      if path[-1] in ("scale", "var")
      else rng.normal(0, 0.2, leaf.shape)
    ).astype(np.float32),
    shapes,
  )
  model = build.make_model(small_config, 3).clone(axis_name=None)
  folded = fold_batch_norm(drawn)
  images = rng.uniform(-1, 1, (4, 40, 40, 3)).astype(np.float32)
  expected = jax.jit(model.apply)(drawn, images)
  got = jax.jit(model.clone(folded=True).apply)(folded, images)
  np.testing.assert_allclose(got, expected, atol=1e-5)
  assert np.ptp(expected) > 0.01


def test_the_imagenet_trunk_has_no_batch_norm_left(small_config):
  small_config.model.cut = "conv_dw_9_relu"
  small_config.model.image_size = 96
  variables = build.init_variables(small_config, 3)
  folded = fold_batch_norm(variables)
  names = folded["params"]["trunk"].keys()
  assert names == {
    n for n in trunk.load_imagenet_trunk()["params"] if not n.endswith("_bn")
  }
  assert folded["batch_stats"].keys() == {"attention_classifier"}
  assert "conv1_bn" in variables["params"]["trunk"]  # The input is left alone.
