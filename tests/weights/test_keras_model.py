"""A whole Keras model, ported by the command, predicts as in Keras."""

import collections
import json
import os
import pathlib
import subprocess
import sys
import zipfile

import h5py
import jax
import keras
import numpy as np
import pytest
from flax import traverse_util

import pattlite_jax
from pattlite_jax import trained
from pattlite_jax.benchmark.peers import keras_pattlite as reference
from pattlite_jax.weights import keras_model

FOLDER = pathlib.Path(__file__).parent
# Classes of layers that have weights, as TensorFlow 2.13 names their groups.
SNAKE_CASE = {
  "Attention": "attention",
  "BatchNormalization": "batch_normalization",
  "Conv2D": "conv2d",
  "Dense": "dense",
  "DepthwiseConv2D": "depthwise_conv2d",
  "Functional": "functional",
  "ReLU": "re_lu",
  "SeparableConv2D": "separable_conv2d",
}
SMALL = {"input_shape": (40, 40, 3), "image_size": 32, "cut": "conv1_relu"}


def randomised(model, seed=0):
  """Sets every weight and batch-norm statistic to a random number."""
  rng = np.random.default_rng(seed)
  for variable in reference.variables(model).values():
    shape = variable.shape
    if variable.name.endswith("kernel"):
      depthwise = variable.name == "depthwise_kernel" or shape[-1:] == (1,)
      fan_in = np.prod(shape[:2] if depthwise else shape[:-1])
      array = rng.normal(0, np.sqrt(2 / fan_in), shape)
    elif variable.name in ("gamma", "moving_variance"):
      array = rng.uniform(0.5, 1.5, shape)
    elif variable.name == "scale":
      array = 0.1
    else:
      array = rng.normal(0, 0.3, shape)
    variable.assign(array)
  return model


def pictures(size, count=5):
  rng = np.random.default_rng(7)
  colours = rng.integers(0, 256, (count, 1, 1, 3))
  noise = rng.integers(-60, 61, (count, size, size, 3))
  return np.clip(colours + noise, 0, 255).astype(np.uint8)


def command(*arguments):
  return subprocess.run(
    [sys.executable, "-m", "pattlite_jax.weights.keras_port", *arguments],
    capture_output=True,
    text=True,
    env={**os.environ, "JAX_PLATFORMS": "cpu"},
  )


def assert_predicts_as(network, model, size):
  images = pictures(size)
  with jax.default_matmul_precision("highest"):  # GPUs would use TF32.
    logits = network.logits(images)
  expected = reference.logits(model, images.astype(np.float32))
  scale = np.abs(expected).max()
  assert np.abs(logits - expected).max() <= 1e-4 * scale
  assert expected.std(axis=0).max() > 0.01  # The pictures are told apart.
  probabilities = model.predict(images.astype(np.float32), verbose=0)
  np.testing.assert_allclose(jax.nn.softmax(logits), probabilities, atol=1e-4)


@pytest.mark.slow
def test_command_ports_the_notebooks_model(tmp_path):
  """At its own size, with its augmentation and after its second stage."""
  model = reference.build(
    8,
    stage="stage2",
    input_shape=(120, 120, 3),
    image_size=224,
    regularised=True,
  )
  reference.unfreeze_trunk(model)
  randomised(model).compile("adam", "sparse_categorical_crossentropy")
  path, out = tmp_path / "model.h5", tmp_path / "ported"
  model.save(path)
  names = ",".join(keras_model.CLASS_NAMES)
  run = command(f"--model={path}", f"--out={out}", f"--class_names={names}")
  assert run.returncode == 0, run.stderr
  assert "Attention batch" in run.stdout
  network = trained.load(out)
  assert network.class_names == keras_model.CLASS_NAMES
  assert network.config.model.image_size == 224
  assert network.config.data.image_size == 120
  assert_predicts_as(network, model, 120)


def save_without_names(model, path):
  """Writes a .keras as before layers' names were kept with the arrays."""
  model.save(path)
  with zipfile.ZipFile(path) as archive:
    files = {name: archive.read(name) for name in archive.namelist()}
  weights = path.with_suffix(".h5")
  weights.write_bytes(files["model.weights.h5"])
  with h5py.File(weights, "a") as file:
    file.visititems(lambda _, item: item.attrs.pop("name", None) and None)
  files["model.weights.h5"] = weights.read_bytes()
  with zipfile.ZipFile(path, "w") as archive:
    for name, content in files.items():
      archive.writestr(name, content)


def save_as_keras_2(model, path):
  """Writes the .h5 of tf.keras: other names of weights and input shapes."""
  model.save(path)
  with h5py.File(path, "a") as file:
    for layer, group in file["model_weights"].items():
      if layer == "top_level_model_weights":
        continue
      renamed = []
      for name in group.attrs["weight_names"]:
        owner, weight = name.split("/")[-2:]
        new = "scale:0" if weight == "scale" else f"{owner}/{weight}:0"
        group.move(name, new)
        renamed.append(new.encode())
      group.attrs["weight_names"] = renamed
    described = file.attrs["model_config"]
    file.attrs["model_config"] = described.replace(
      '"batch_shape"', '"batch_input_shape"'
    )


def save_as_tensorflow_2_13(model, path):
  """Writes its .keras, whose groups are numbered twice where they have weights.

  The description is the one that TensorFlow 2.13 wrote of such a model.
  """
  description = (FOLDER / "tensorflow_2_13.json").read_text()
  inner = ("base", "patch_extraction", "pre_classification")
  arrays = iter(
    [weight.numpy() for weight in layer.weights]
    for part in model.layers
    for layer in (part.layers if part.name in inner else [part])
    if layer.weights
  )

  def write(group, layers):
    counts = collections.Counter()
    container = group.create_group("_layer_checkpoint_dependencies")
    for layer in layers:
      kind, inside = layer["class_name"], layer["config"].get("layers", [])
      base = SNAKE_CASE.get(kind, kind.lower())
      number = counts[base]
      own = container.create_group(f"{base}_{number}" if number else base)
      own.create_group("vars")
      has_weights = kind in SNAKE_CASE and kind not in ("Functional", "ReLU")
      if inside:
        has_weights = "Random" not in str(inside)
        write(own, inside)
      elif has_weights:
        for index, array in enumerate(next(arrays)):
          own["vars"][str(index)] = array
      counts[base] += 2 if has_weights else 1

  weights = path.with_suffix(".h5")
  with h5py.File(weights, "w") as file:
    write(file, json.loads(description)["config"]["layers"])
  assert next(arrays, None) is None
  with zipfile.ZipFile(path, "w") as archive:
    archive.writestr("metadata.json", "{}")
    archive.writestr("config.json", description)
    archive.write(weights, "model.weights.h5")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
  ("name", "save"),
  [
    ("model.keras", lambda model, path: model.save(path)),
    ("unnamed.keras", save_without_names),
    ("tf_keras.h5", save_as_keras_2),
    ("tf_2_13.keras", save_as_tensorflow_2_13),
  ],
)
def test_every_kind_of_file_is_ported_exactly(name, save, tmp_path):
  model = reference.build(7, **{**SMALL, "cut": "conv_dw_2_relu"})
  reference.unfreeze_trunk(randomised(model), 9)  # These are kept first.
  save(model, tmp_path / name)
  keras_model.port(tmp_path / name, tmp_path / "out")
  network = pattlite_jax.load(tmp_path / "out").network
  assert network.class_names == ("anger", *keras_model.CLASS_NAMES[2:])
  assert network.image_shape == (40, 40, 3)
  ported = traverse_util.flatten_dict(network.variables)
  places = reference.variables(model)
  assert ported.keys() == places.keys()
  for path, variable in places.items():
    expected = reference.flax_layout(path, variable)
    np.testing.assert_array_equal(ported[path], expected, "/".join(path))


@pytest.mark.parametrize("attention", ["token", "none"])
def test_other_attention_predicts_as_in_keras(attention, tmp_path):
  model = randomised(reference.build(3, attention=attention, **SMALL))
  model.save(tmp_path / "model.keras")
  path, names = tmp_path / "model.keras", ("a", "b", "c")
  other = "batch" if attention == "none" else "none"
  refused(path, f"attention '{attention}', but '{other}'", attention=other)
  keras_model.port(path, tmp_path / "out", class_names=names)
  network = trained.load(tmp_path / "out")
  assert network.class_names == ("a", "b", "c")
  assert_predicts_as(network, model, 40)


def refused(path, message, **options):
  with pytest.raises((ValueError, OSError), match=message) as error:
    keras_model.port(path, path.parent / "out", **options)
  assert "\n" not in str(error.value)


@pytest.mark.slow
def test_what_does_not_fit_is_named(tmp_path):
  path = tmp_path / "model.keras"
  model = reference.build(3, **SMALL)
  model.save(path)
  refused(path, r"3 classes.*--class_names=a,b,c")
  refused(path, r"2 names \(a, b\).*3 classes", class_names=("a", "b"))
  keras_model.port(
    path, tmp_path / "out", attention="batch", class_names=("a", "b", "c")
  )
  refused(path, "holds step 0.*new directory", class_names=("a", "b", "c"))

  refused(path, "class name 'a' twice", class_names=("a", "b", "a"))
  model.save_weights(tmp_path / "model.weights.h5")
  refused(tmp_path / "model.weights.h5", r"weights alone.*model\.save\(")
  refused(tmp_path / "absent.h5", r"absent\.h5 \(--model\)")


@pytest.mark.slow
def test_weights_of_another_model_are_refused(tmp_path):
  """The description is one model's, the arrays are another's."""
  path, other = tmp_path / "model.keras", tmp_path / "other.keras"
  for cut, name in (("conv1_relu", path), ("conv_dw_1", other)):
    keras.utils.clear_session()  # Both name their layers alike.
    reference.build(7, **{**SMALL, "cut": cut}).save(name)

  def weights_of(name, change=lambda file: None):
    with zipfile.ZipFile(name) as archive:
      weights = tmp_path / "weights.h5"
      weights.write_bytes(archive.read("model.weights.h5"))
      with h5py.File(weights, "a") as file:
        change(file)
      return archive.read("config.json"), weights.read_bytes()

  def together(description, weights):
    with zipfile.ZipFile(tmp_path / "mixed.keras", "w") as archive:
      archive.writestr("config.json", description)
      archive.writestr("model.weights.h5", weights)
    return tmp_path / "mixed.keras"

  description, _ = weights_of(path)
  mixed = together(description, weights_of(other)[1])
  refused(mixed, "arrays of conv_dw_1, a layer that its model lacks")
  mixed = together(weights_of(other)[0], weights_of(path)[1])
  refused(mixed, "lack params/trunk/conv_dw_1/kernel")

  mixed = together(
    description.replace(b'"units": 7', b'"units": 64'), weights_of(path)[1]
  )
  refused(mixed, "its last Dense has 64 units, but weights of 7")

  def drop_bias(file):
    del file["layers/dense/vars/1"]

  mixed = together(description, weights_of(path, drop_bias)[1])
  refused(mixed, r"has 1 arrays of its layer head \(Dense\), expected 2")


@pytest.mark.parametrize(
  ("name", "content", "message"),
  [
    ("a.h5", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ("a.safetensors", b"\x08\0\0\0\0\0\0\0{}      ", "is a safetensors file"),
    ("saved/saved_model.pb", b"", r"SavedModel folder.*save\('model.h5'\)"),
    ("run/weights.safetensors", b"", "pattlite_jax.load takes it as it is"),
    ("a.h5", b"", "cannot be read as a Keras"),
  ],
)
def test_what_is_no_keras_file_is_called_what_it_is(
  tmp_path, name, content, message
):
  path = tmp_path / name
  path.parent.mkdir(exist_ok=True)
  path.write_bytes(content)
  refused(path if path.parent == tmp_path else path.parent, message)


def test_a_lambda_layer_is_refused_and_not_run(tmp_path):
  path, marker = tmp_path / "model.keras", tmp_path / "marker"
  images = keras.Input((40, 40, 3))
  marked = str(marker)

  def write(x):
    open(marked, "w").close()
    return x

  x = keras.layers.Lambda(write)(images)
  keras.Model(images, reference.build(7, **SMALL)(x)).save(path)
  marker.unlink()
  refused(path, "Lambda layer, whose code is never run")
  assert not marker.exists()


def test_another_network_is_named_by_its_layers(tmp_path):
  path = tmp_path / "dense.keras"
  layers = [keras.Input((4,)), keras.layers.Dense(2, name="dense_9")]
  keras.Sequential(layers).save(path)
  refused(path, "not a PAtt-Lite.*dense_9")


def test_flags_of_the_other_task_are_refused(tmp_path):
  run = command("--model=a.h5", f"--out={tmp_path}", "--cut=conv1")
  assert run.returncode == 1
  assert "--cut goes with --weights alone" in run.stdout + run.stderr
