"""Every Keras file is ported exactly, and each layer then computes the same."""

import contextlib
import csv
import os
import pathlib
import subprocess
import sys

import h5py
import jax
import keras
import numpy as np
import pytest
from matplotlib import cbook
from PIL import Image

from pattlite_jax.benchmark.peers import keras_pattlite as reference
from pattlite_jax.models.mobilenet_v1 import MobileNetV1
from pattlite_jax.models.mobilenet_v1_layers import LAYER_NAMES, PATT_LITE_CUT
from pattlite_jax.weights.keras_port import (
  load_keras_weights,
  variables_from_keras,
)
from pattlite_jax.weights.safetensors_io import load_variables
from pattlite_jax.weights.trunk import load_mobilenet_trunk

SIZE = 96
MILITARY_UNIFORM = 652  # What Grace Hopper wears in matplotlib's picture.


def _random_array(rng, layer, name, shape):
  if name == "kernel":  # He's scale keeps signals alive to the last layer.
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    fan_in = np.prod(shape[:2] if depthwise else shape[:-1])
    return rng.normal(0, np.sqrt(2 / fan_in), shape)
  if name in ("gamma", "moving_variance"):
    return rng.uniform(0.5, 1.5, shape)
  return rng.normal(0, 0.3, shape)


def _randomised(model, seed=0):
  """Sets every weight, batch-norm statistics too, to a random one."""
  rng = np.random.default_rng(seed)
  for layer in model.layers:
    layer.set_weights(
      [_random_array(rng, layer, w.name, w.shape) for w in layer.weights]
    )
  return model


def _mobilenet(size=SIZE, **kwargs):
  return keras.applications.MobileNet(
    weights=None, input_shape=(size, size, 3), **kwargs
  )


@pytest.fixture(scope="module")
def full_model():
  return _randomised(_mobilenet())


@pytest.fixture(scope="module")
def no_top_model():
  return _randomised(_mobilenet(include_top=False), seed=1)


def _save_legacy(model, path, without=()):
  """Writes the layout of tf.keras' mobilenet_1_0_224_tf.h5."""
  layers = [layer for layer in model.layers if layer.name not in without]
  with h5py.File(path, "w") as file:
    file.attrs["layer_names"] = [layer.name.encode() for layer in layers]
    for layer in layers:
      group = file.create_group(layer.name)
      names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
      group.attrs["weight_names"] = [name.encode() for name in names]
      for name, array in zip(names, layer.get_weights(), strict=True):
        group[name] = array


def _save_tensorflow_2_13(model, path):
  """Writes a .weights.h5 in which layers with weights are counted twice."""
  model.save_weights(path)
  with h5py.File(path, "a") as file:
    container = file.create_group("_layer_checkpoint_dependencies")
    for key, layer in list(file["layers"].items()):
      kind, _, number = key.rpartition("_")
      del layer["vars"].attrs["name"]
      is_counted = number.isdecimal() and len(layer["vars"])
      new = f"{kind}_{2 * int(number)}" if is_counted else key
      file.move(layer.name, f"{container.name}/{new}")
    del file["layers"]


def _save_first_keras_3(model, path):
  """Writes a .weights.h5 as before layers' names were kept in it."""
  model.save_weights(path)
  with h5py.File(path, "a") as file:
    for group in file["layers"].values():
      del group["vars"].attrs["name"]


SAVERS = {
  "model.weights.h5": lambda model, path: model.save_weights(path),
  "first.weights.h5": _save_first_keras_3,
  "tf213.weights.h5": _save_tensorflow_2_13,
  "model.keras": lambda model, path: model.save(path),
  "model.h5": lambda model, path: model.save(path),
  "mobilenet_1_0_224_tf.h5": _save_legacy,
}


def _assert_exactly(variables, model):
  """Compares each array with the Keras layer's, and finds none besides."""
  compared = 0
  for layer in model.layers:
    arrays = {weight.name: np.asarray(weight) for weight in layer.weights}
    params = variables["params"].get(layer.name, {})
    stats = variables["batch_stats"].get(layer.name, {})
    if isinstance(layer, keras.layers.BatchNormalization):
      np.testing.assert_array_equal(params["scale"], arrays["gamma"])
      np.testing.assert_array_equal(params["bias"], arrays["beta"])
      np.testing.assert_array_equal(stats["mean"], arrays["moving_mean"])
      np.testing.assert_array_equal(stats["var"], arrays["moving_variance"])
    elif isinstance(layer, keras.layers.DepthwiseConv2D):
      kernel = arrays["kernel"]
      np.testing.assert_array_equal(params["kernel"][:, :, 0], kernel[..., 0])
    else:
      for name, array in arrays.items():
        np.testing.assert_array_equal(params[name], array)
    compared += len(arrays)
  leaves = jax.tree.leaves(variables)
  assert compared == len(leaves)
  assert {leaf.dtype for leaf in leaves} == {np.dtype("float32")}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("fixture", ["full_model", "no_top_model"])
@pytest.mark.parametrize("name", SAVERS)
def test_file_is_ported_exactly(name, fixture, tmp_path, request):
  model = request.getfixturevalue(fixture)
  SAVERS[name](model, tmp_path / name)
  _assert_exactly(load_keras_weights(tmp_path / name), model)


@pytest.mark.parametrize("cut", ["conv1", "conv_pad_2", "conv_dw_9_relu"])
def test_cut_model_is_ported_exactly(no_top_model, cut):
  model = keras.Model(no_top_model.input, no_top_model.get_layer(cut).output)
  variables = {"batch_stats": {}, **variables_from_keras(model)}
  _assert_exactly(variables, model)


def test_imagenet_is_what_keras_downloads(full_model, monkeypatch):
  def download(weights):
    assert weights == "imagenet"
    return full_model

  monkeypatch.setattr(keras.applications, "MobileNet", download)
  _assert_exactly(load_keras_weights("imagenet"), full_model)


def _outputs_of_keras(model, images):
  extractor = keras.Model(model.input, [x.output for x in model.layers[1:]])
  outputs = extractor(images, training=False)
  return dict(zip(LAYER_NAMES, map(np.asarray, outputs), strict=False))


def _outputs(variables, images, cut):
  with jax.default_matmul_precision("highest"):  # GPUs would use TF32.
    _, state = jax.jit(
      lambda v, x: MobileNetV1(cut).apply(v, x, mutable=["intermediates"])
    )(variables, images)
  sown = state["intermediates"]  # Its keys come out of jit sorted.
  names = LAYER_NAMES[: LAYER_NAMES.index(cut) + 1]
  assert len(sown) == len(names)
  return {name: np.asarray(sown[f"{name}_output"][0]) for name in names}


def _assert_layers_agree(variables, model, images, cut):
  """Returns both networks' outputs of `cut`."""
  expected = _outputs_of_keras(model, images)
  found = _outputs(variables, images, cut)
  assert list(expected) == list(found)
  for name, wanted in expected.items():
    assert found[name].shape == wanted.shape, name
    assert wanted.std() > 0, name
    scale = np.abs(wanted).max()
    largest = np.abs(found[name] - wanted).max()
    assert largest <= 1e-4 * scale, f"{name}: {largest} of {scale}"
  return found[cut], expected[cut]


@pytest.mark.parametrize("size", [96, 99])
def test_every_layer_computes_what_keras_computes(full_model, size):
  model = full_model
  if size != SIZE:  # Odd sizes tell the pad layers from padding "same".
    model = _mobilenet(size)
    model.set_weights(full_model.get_weights())
  rng = np.random.default_rng(2)
  images = rng.uniform(-1, 1, (2, size, size, 3)).astype(np.float32)
  softmax, _ = _assert_layers_agree(
    variables_from_keras(model), model, images, "predictions"
  )
  np.testing.assert_allclose(softmax.sum(axis=1), 1, atol=1e-5)


def _drawn_images():
  """Returns f32[2, 224, 224, 3] in [-1, 1]: waves, and a disc on a slope."""
  y, x = np.mgrid[-1:1:224j, -1:1:224j]
  waves = [np.sin(9 * x + c) * np.cos(7 * y - c) for c in range(3)]
  disc = np.tanh(20 * (0.5 - np.hypot(x - 0.1, y)))
  slope = [0.6 * disc + 0.2 * x, 0.8 * disc, 0.5 * disc - 0.3 * y]
  return np.float32([np.stack(waves, -1), np.stack(slope, -1)])


def _set_weights(model, variables):
  """Gives a Keras model the numbers of `variables`."""
  for layer in model.layers:
    arrays = {
      **variables["params"].get(layer.name, {}),
      **variables["batch_stats"].get(layer.name, {}),
    }
    if isinstance(layer, keras.layers.DepthwiseConv2D):
      arrays["kernel"] = np.moveaxis(arrays["kernel"], 2, 3)
    order = ("kernel", "scale", "bias", "mean", "var")
    layer.set_weights([arrays[name] for name in order if name in arrays])


def test_shipped_trunk_computes_what_keras_computes():
  trunk = load_mobilenet_trunk()
  model = _mobilenet(224, include_top=False)
  model = keras.Model(model.input, model.get_layer(PATT_LITE_CUT).output)
  _set_weights(model, trunk)
  _assert_layers_agree(trunk, model, _drawn_images(), PATT_LITE_CUT)


def _pictures():
  """Returns f32[B, 224, 224, 3] in [-1, 1]: a portrait, and faces if given."""
  with cbook.get_sample_data("grace_hopper.jpg") as file:
    portrait = Image.open(file).convert("RGB")
  pictures = [
    portrait.crop((0, 0, 512, 512)),
    portrait.crop((90, 30, 390, 330)),
  ]
  if folder := os.environ.get("PATTLITE_FER2013_DIR"):
    with open(pathlib.Path(folder) / "fer2013.csv", newline="") as file:
      for row, _ in zip(csv.DictReader(file), range(4), strict=False):
        pixels = np.array(row["pixels"].split(), np.uint8).reshape(48, 48)
        pictures.append(Image.fromarray(pixels).convert("RGB"))
  pictures = [picture.resize((224, 224)) for picture in pictures]
  return np.stack([np.asarray(p, np.float32) / 127.5 - 1 for p in pictures])


@pytest.fixture(scope="module")
def keras_files():
  folder = os.environ.get("PATTLITE_KERAS_WEIGHTS_DIR")
  if not folder:
    pytest.skip(
      "PATTLITE_KERAS_WEIGHTS_DIR is unset: the folder with "
      "mobilenet_1_0_224_tf.weights.h5 and "
      "mobilenet_1_0_224_tf_no_top.weights.h5."
    )
  return pathlib.Path(folder)


def test_imagenet_network_computes_what_keras_computes(keras_files):
  path = keras_files / "mobilenet_1_0_224_tf.weights.h5"
  model = keras.applications.MobileNet(weights=path)
  softmax, expected = _assert_layers_agree(
    load_keras_weights(path), model, _pictures(), "predictions"
  )
  top5 = [np.argsort(-rows, axis=1)[:, :5] for rows in (softmax, expected)]
  np.testing.assert_array_equal(*top5)
  assert top5[0][0, 0] == MILITARY_UNIFORM


@pytest.mark.parametrize("top", ["", "_no_top"])
def test_shipped_trunk_is_keras_file_bit_for_bit(keras_files, top):
  path = keras_files / f"mobilenet_1_0_224_tf{top}.weights.h5"
  ported = load_keras_weights(path)
  shipped = jax.tree.leaves_with_path(load_mobilenet_trunk())
  assert sum(array.size for _, array in shipped) == 821_952
  for (group, layer, part), array in shipped:
    other = ported[group.key][layer.key][part.key]
    assert array.tobytes() == other.tobytes(), layer.key


@contextlib.contextmanager
def _one_line_error(path, *words):
  with pytest.raises(ValueError, match=path.name) as info:
    yield
  assert "\n" not in str(info.value)
  for word in words:
    assert word in str(info.value)


@pytest.mark.parametrize("name", ["model.weights.h5", "model.keras"])
def test_truncated_file_is_named(no_top_model, name, tmp_path):
  path = tmp_path / name
  SAVERS[name](no_top_model, path)
  os.truncate(path, path.stat().st_size // 2)
  with _one_line_error(path, "may be incomplete"):
    load_keras_weights(path)


def test_missing_layer_is_named(no_top_model, tmp_path):
  path = tmp_path / "partial.h5"
  _save_legacy(no_top_model, path, without=["conv_pw_5", "conv_dw_3_bn"])
  with _one_line_error(path, "missing layers conv_dw_3_bn, conv_pw_5"):
    load_keras_weights(path)


def test_another_network_is_named_by_its_layers(tmp_path):
  path = tmp_path / "dense.weights.h5"
  layers = [keras.layers.Input((4,)), keras.layers.Dense(2, name="dense_9")]
  keras.Sequential(layers).save_weights(path)
  with _one_line_error(path, "missing layers conv1", "layers dense_9"):
    load_keras_weights(path)


@pytest.mark.parametrize(
  ("options", "layer"),
  [
    ({"alpha": 0.5, "include_top": False}, "conv1 "),
    ({"classes": 10}, "conv_preds "),
  ],
)
def test_another_size_is_named_by_its_shapes(tmp_path, options, layer):
  path = tmp_path / "small.weights.h5"
  _mobilenet(**options).save_weights(path)
  with _one_line_error(path, f"layer {layer}", "expected"):
    load_keras_weights(path)


def test_a_folder_is_called_what_it_is(tmp_path):
  (tmp_path / "saved_model.pb").touch()
  with _one_line_error(tmp_path, "SavedModel folder", "save('model.h5')"):
    load_keras_weights(tmp_path)


def test_other_hdf5_file_is_named_by_what_it_holds(tmp_path):
  path = tmp_path / "faces.h5"
  with h5py.File(path, "w") as file:
    file["X_train"] = np.zeros(3)
  with _one_line_error(path, "X_train", "layer_names"):
    load_keras_weights(path)


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_a_trunk_that_computes_something_else_is_named(tmp_path, kind):
  """All weights fit, but not what lies between them."""
  path = tmp_path / f"model.{kind}"
  x = images = keras.Input((32, 32, 3))
  x = keras.layers.Conv2D(
    32, 3, 2, "same", use_bias=False, activation="relu", name="conv1"
  )(x)
  keras.Model(images, x).save(path)
  message = r"model\.\w+ is not a MobileNetV1.*: after conv1 .*BatchNormaliz"
  with pytest.raises(ValueError, match=message):
    load_keras_weights(path)


def test_a_whole_network_is_sent_to_its_flag(tmp_path):
  reference.build(7, image_size=32, cut="conv1").save(tmp_path / "whole.keras")
  with _one_line_error(
    tmp_path / "whole.keras", "--model takes a whole PAtt-Lite"
  ):
    load_keras_weights(tmp_path / "whole.keras")


def test_absent_file_names_the_flag(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"absent\.h5.*--weights=imagen"):
    load_keras_weights(tmp_path / "absent.h5")


def _run(*arguments):
  return subprocess.run(
    [sys.executable, "-m", "pattlite_jax.weights.keras_port", *arguments],
    capture_output=True,
    text=True,
    env={**os.environ, "JAX_PLATFORMS": "cpu"},
  )


def test_command_writes_the_layers_up_to_the_cut(no_top_model, tmp_path):
  path, out = (
    tmp_path / "model.weights.h5",
    tmp_path / "new" / "cut.safetensors",
  )
  no_top_model.save_weights(path)
  run = _run(f"--weights={path}", f"--out={out}", "--cut=conv_pad_2")
  assert run.returncode == 0, run.stderr
  assert f"3,712 parameters up to conv_pad_2: {out}" in run.stdout
  written = load_variables(out)
  ported = load_keras_weights(path)
  names = ["conv1", "conv1_bn", "conv_dw_1", "conv_dw_1_bn"]
  names += ["conv_pw_1", "conv_pw_1_bn"]
  expected = {
    group: {name: tree[name] for name in names if name in tree}
    for group, tree in ported.items()
  }
  jax.tree.map(np.testing.assert_array_equal, written, expected)


@pytest.mark.slow
def test_command_fails_in_one_line_where_the_file_ends(no_top_model, tmp_path):
  path, out = tmp_path / "model.weights.h5", tmp_path / "out.safetensors"
  no_top_model.save_weights(path)
  run = _run(f"--weights={path}", f"--out={out}", "--cut=predictions")
  assert run.returncode == 1
  error = [line for line in run.stderr.splitlines() if "--weights" in line]
  assert len(error) == 1
  assert "params/conv_preds/kernel" in error[0]
  assert "Traceback" not in run.stderr
  assert not out.exists()


def test_command_does_not_wait_for_tensorflow():
  code = (
    "import sys, pattlite_jax.weights.keras_port; "
    "sys.exit(not {'keras', 'tensorflow'}.isdisjoint(sys.modules))"
  )
  assert subprocess.run([sys.executable, "-c", code]).returncode == 0
