"""MobileNetV1 has Keras' layers, names and shapes, wherever it is cut."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from pattlite_jax.models.mobilenet_v1 import MobileNetV1, relu6
from pattlite_jax.models.mobilenet_v1_layers import LAYER_NAMES, PATT_LITE_CUT
from pattlite_jax.runtime import parallel
from pattlite_jax.weights.keras_port import variables_from_keras
from pattlite_jax.weights.trunk import select_layers


@pytest.fixture(scope="module")
def keras_layers():
  keras.utils.clear_session()  # Keras numbers unnamed layers in a session.
  model = keras.applications.MobileNet(weights=None)
  return model.layers[1:]  # The first is the input.


def _shapes(cut, size, **fields):
  images = jax.ShapeDtypeStruct((2, size, size, 3), np.float32)
  trunk = MobileNetV1(cut, **fields)
  return jax.eval_shape(
    lambda x: trunk.init_with_output(jax.random.key(0), x), images
  )


def test_layer_names_are_those_of_keras_in_order(keras_layers):
  assert list(LAYER_NAMES) == [layer.name for layer in keras_layers]


@pytest.mark.parametrize("cut", LAYER_NAMES)
def test_cut_gives_the_output_and_parameters_of_keras(keras_layers, cut):
  kept = keras_layers[: LAYER_NAMES.index(cut) + 1]
  output, variables = _shapes(cut, 224)
  assert output.shape == (2, *kept[-1].output.shape[1:])
  parameters = sum(leaf.size for leaf in jax.tree.leaves(variables))
  assert parameters == sum(layer.count_params() for layer in kept)


def test_patt_lites_trunk_has_821952_parameters():
  output, variables = _shapes(PATT_LITE_CUT, 224)
  assert output.shape == (2, 14, 14, 512)
  sizes = {
    name: sum(leaf.size for leaf in jax.tree.leaves(tree))
    for name, tree in variables.items()
  }
  assert sizes == {"params": 812_352, "batch_stats": 9_600}


def test_a_first_layer_of_stride_1_doubles_the_map_alone():
  native, same = _shapes(PATT_LITE_CUT, 48, stem_stride=1)
  doubled, variables = _shapes(PATT_LITE_CUT, 96)
  assert native.shape == doubled.shape == (2, 6, 6, 512)
  assert jax.tree.map(np.shape, same) == jax.tree.map(np.shape, variables)


def test_a_first_layer_of_stride_1_sees_every_pixel_with_its_neighbours():
  images = np.random.default_rng(0).normal(size=(1, 6, 7, 3))
  images = jnp.asarray(images, jnp.float32)
  model = MobileNetV1("conv1", stem_stride=1)
  variables = model.init(jax.random.key(0), images)
  kernel = np.asarray(variables["params"]["conv1"]["kernel"])
  padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
  expected = sum(
    padded[:, i : i + 6, j : j + 7] @ kernel[i, j]
    for i in range(3)
    for j in range(3)
  )
  np.testing.assert_allclose(
    model.apply(variables, images), expected, atol=1e-5
  )


def test_default_cut_is_minus_29_of_keras_without_top():
  model = keras.applications.MobileNet(weights=None, include_top=False)
  assert model.layers[-29].name == MobileNetV1().cut


@pytest.mark.long
@pytest.mark.slow
def test_statistics_of_a_batch_are_those_of_keras_in_training():
  model = keras.applications.MobileNet(
    weights=None, include_top=False, input_shape=(64, 64, 3)
  )
  model = keras.Model(model.input, model.get_layer(PATT_LITE_CUT).output)
  rng = np.random.default_rng(0)
  for variable in model.variables:
    if variable.name == "kernel":  # Layers in use: not all of one scale.
      variable.assign(variable * rng.uniform(0.5, 2, variable.shape[-1]))
  variables = select_layers(
    variables_from_keras(model), _shapes(PATT_LITE_CUT, 64)[1]
  )
  images = rng.normal(size=(8, 64, 64, 3)).astype(np.float32)
  expected = np.asarray(model(images, training=True))
  tracked = variables_from_keras(model)["batch_stats"]

  padding = 100 * rng.normal(size=(3, 64, 64, 3)).astype(np.float32)
  output, updated = MobileNetV1().apply(
    jax.tree.map(jnp.asarray, variables),
    jnp.concatenate([images, padding]),
    jnp.arange(11) < 8,  # Padded rows do not count.
    update_stats=True,
    mutable=["batch_stats"],
  )
  scale = np.abs(expected).max()
  np.testing.assert_allclose(output[:8], expected, atol=1e-4 * scale)
  for name, stats in updated["batch_stats"].items():
    for part, value in stats.items():
      np.testing.assert_allclose(
        value, tracked[name][part], rtol=1e-4, atol=1e-5, err_msg=name
      )


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
def test_relu6_clips_and_keeps_nan(platform):
  x = jnp.array([-1, 0, 3, 6, 7, jnp.nan], jnp.float32)
  with parallel.programs_for(platform):
    y, gradient = jax.vjp(relu6, x)
  np.testing.assert_array_equal(y, [0, 0, 3, 6, 6, np.nan])
  (slope,) = gradient(jnp.ones_like(x))
  np.testing.assert_array_equal(slope[:5], [0, 0, 1, 0, 0])
  half = relu6(x.astype(jnp.bfloat16))
  assert half.dtype == jnp.bfloat16
