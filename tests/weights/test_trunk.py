"""The shipped trunk, how it enters PAttLite, and the files it is kept in."""

import jax
import numpy as np
import pytest
import safetensors.numpy

from pattlite_jax.methods.pattlite import PAttLite
from pattlite_jax.models.mobilenet_v1 import MobileNetV1
from pattlite_jax.weights.safetensors_io import load_variables, save_variables
from pattlite_jax.weights.trunk import (
  IMAGENET_TRUNK,
  insert_trunk,
  load_mobilenet_trunk,
  trunk_shapes,
)


def _pattlite_variables(cut):
  model = PAttLite(7, "none", MobileNetV1(cut), patch_stride=2)
  images = jax.ShapeDtypeStruct((1, 96, 96, 3), np.float32)
  shapes = jax.eval_shape(lambda x: model.init(jax.random.key(0), x), images)
  return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


def test_shipped_trunk_has_the_shapes_of_the_model():
  trunk = load_mobilenet_trunk()
  leaves = jax.tree.leaves(trunk)
  assert sum(leaf.size for leaf in leaves) == 1_086_144
  assert {leaf.dtype for leaf in leaves} == {np.dtype("float32")}
  shapes = jax.tree.map(lambda leaf: leaf.shape, trunk)
  expected = trunk_shapes("conv_pw_9_relu")
  assert shapes == jax.tree.map(lambda leaf: leaf.shape, expected)


def test_shipped_trunk_was_trained():
  trunk = load_mobilenet_trunk()
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(trunk))
  for layer, stats in trunk["batch_stats"].items():
    assert (stats["var"] > 0).all(), layer
    assert np.abs(stats["mean"]).max() > 0.1, layer


def test_shipped_trunk_says_where_it_comes_from():
  with safetensors.safe_open(IMAGENET_TRUNK, "numpy") as file:
    metadata = file.metadata()
  assert "MobileNet_v1_1.0_224" in metadata.pop("origin")
  assert metadata == {
    "license": "Apache-2.0",
    "cut": "conv_pw_9_relu",
    "parameters": "1086144",
  }


@pytest.mark.parametrize("cut", ["conv1", "conv_dw_9_relu", "conv_pw_9_relu"])
def test_trunk_fills_its_part_and_nothing_else(cut):
  variables, trunk = _pattlite_variables(cut), load_mobilenet_trunk()
  filled = insert_trunk(variables, trunk)
  assert jax.tree.structure(filled) == jax.tree.structure(variables)
  for (group, part, *rest), leaf in jax.tree.leaves_with_path(filled):
    expected = 0
    if part.key == "trunk":
      layer, name = rest
      expected = trunk[group.key][layer.key][name.key]
    np.testing.assert_array_equal(leaf, np.broadcast_to(expected, leaf.shape))
  assert not any(leaf.any() for leaf in jax.tree.leaves(variables))


def test_deeper_model_names_what_is_missing_and_the_flag():
  with pytest.raises(ValueError, match=r"config\.model\.trunk_weights") as info:
    insert_trunk(_pattlite_variables("conv_dw_10_bn"), load_mobilenet_trunk())
  for key in ("params/conv_dw_10/kernel", "batch_stats/conv_dw_10_bn/mean"):
    assert key in str(info.value)
  assert "conv_pw_9" not in str(info.value)


@pytest.mark.parametrize("channels", [1, 4])
def test_other_shapes_are_named(channels):
  trunk = load_mobilenet_trunk()
  shape = (3, 3, channels, 32)
  trunk["params"]["conv1"]["kernel"] = np.zeros(shape, np.float32)
  shapes = rf"conv1/kernel \(3, 3, {channels}, 32\) instead of \(3, 3, 3, 32\)"
  with pytest.raises(ValueError, match=shapes):
    insert_trunk(_pattlite_variables("conv1"), trunk)


def test_of_many_missing_arrays_four_are_named_and_the_rest_counted():
  trunk = load_mobilenet_trunk()
  for name in ("conv1", "conv1_bn", "conv_dw_1"):  # 1 + 2 and 2 + 1 arrays.
    trunk["params"].pop(name, None)
    trunk["batch_stats"].pop(name, None)
  with pytest.raises(ValueError, match=r"they lack .* and 2 more"):
    insert_trunk(_pattlite_variables("conv_dw_1"), trunk)


def test_variables_come_back_whatever_their_memory_order(tmp_path):
  path = tmp_path / "new" / "variables.safetensors"
  kernel = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
  variables = {
    "params": {"a": {"kernel": kernel.T, "scale": np.float32(3)}, "b": kernel},
    "batch_stats": {"a": {"mean": jax.numpy.ones(2)}},
  }
  save_variables(path, variables, {"classes": "angry, happy"})
  jax.tree.map(np.testing.assert_array_equal, load_variables(path), variables)
  assert load_variables(path)["params"]["a"]["scale"].shape == ()
  with safetensors.safe_open(path, "numpy") as file:
    assert file.metadata() == {"classes": "angry, happy"}


def test_unreadable_variables_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"absent\.safetensors"):
    load_variables(tmp_path / "absent.safetensors")
  path = tmp_path / "half.safetensors"
  path.write_bytes(IMAGENET_TRUNK.read_bytes()[:100_000])
  with pytest.raises(ValueError, match=r"half\.safetensors is not a complete"):
    load_variables(path)


@pytest.mark.parametrize(
  ("arrays", "what"),
  [
    ({"a": np.array([1, np.nan], np.float32)}, r"a is float32\[2\].*finite"),
    ({"a": np.array([np.inf], np.float32)}, "finite"),
    ({"a": np.ones((2, 3), np.int64)}, r"a is int64\[2, 3\]"),
    ({"a": np.ones(1, np.float32), "a/b": np.ones(1, np.float32)}, "complete"),
  ],
)
def test_what_cannot_be_weights_is_named(tmp_path, arrays, what):
  path = tmp_path / "odd.safetensors"
  safetensors.numpy.save_file(arrays, path)
  with pytest.raises(ValueError, match=what) as error:
    load_variables(path)
  assert str(path) in str(error.value)
