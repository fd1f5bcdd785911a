"""The trunk of face-api.js' detector, from files made as its own are."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_run_config
import tensorflow as tf
from absl import flags

from pattlite_jax.data import packed
from pattlite_jax.models.mobilenet_v1 import MobileNetV1
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.training import setup
from pattlite_jax.weights import detector_port, safetensors_io

CUT = "conv_pw_2_relu"  # Block 2 has a stride of 2.
CHANNELS = (32, 64, 128)


def made_arrays():
  """Yields (name, bytes q, scale, minimum) of the first two blocks."""
  rng = np.random.default_rng(0)

  def quantized(name, shape, low, high):
    scale = (high - low) / 255
    return name, rng.integers(0, 256, shape, np.uint8), scale, low

  for number, channels in enumerate(CHANNELS):
    before = CHANNELS[number - 1]
    begin = f"MobilenetV1/Conv2d_{number}_"
    kernel = (3, 3, 3, 32) if number == 0 else (1, 1, before, channels)
    width = 1.5 / np.sqrt(np.prod(kernel[:3]))
    yield quantized(f"{begin}pointwise/weights", kernel, -width, width)
    name = f"{begin}pointwise/convolution_bn_offset"
    yield quantized(name, (channels,), -0.5, 1.0)
    if number:
      begin += "depthwise/"
      yield quantized(f"{begin}depthwise_weights", (3, 3, before, 1), -0.5, 0.5)
      for part, low, high in (
        ("gamma", 0.5, 1.5),
        ("beta", 0.0, 1.0),
        ("moving_mean", -0.5, 0.5),
        ("moving_variance", 0.0, 2.0),
      ):
        name = f"{begin}BatchNorm/{part}"
        yield quantized(name, (before,), low, high)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
  """(folder, {name: f32 array}); what follows the trunk is not quantized."""
  folder = tmp_path_factory.mktemp("model")
  entries, content, arrays = [], b"", {}
  for name, stored, scale, least in made_arrays():
    entries.append(
      {
        "name": name,
        "shape": list(stored.shape),
        "dtype": "float32",
        "quantization": {"dtype": "uint8", "scale": scale, "min": least},
      }
    )
    content += stored.tobytes()
    arrays[name] = (least + scale * stored.astype(np.float64)).astype("f4")
  plain = np.arange(6, dtype=np.float32).reshape(2, 3)
  entries.append({"name": "Output/x", "shape": [2, 3], "dtype": "float32"})
  arrays["Output/x"] = plain
  content += plain.tobytes()
  half = len(content) // 2  # An array may begin in one file and end in another.
  (folder / "a.bin").write_bytes(content[:half])
  (folder / "b.bin").write_bytes(content[half:])
  manifest = [{"paths": ["a.bin", "b.bin"], "weights": entries}]
  (folder / detector_port.MANIFEST).write_text(json.dumps(manifest))
  return folder, arrays


def computed_by_tensorflow(arrays, images):
  """What face-api.js computes: its mobileNetV1.ts, in TensorFlow."""

  def pointwise(x, number, stride):
    begin = f"MobilenetV1/Conv2d_{number}_pointwise/"
    x = tf.nn.conv2d(x, arrays[f"{begin}weights"], stride, "SAME")
    return tf.clip_by_value(x + arrays[f"{begin}convolution_bn_offset"], 0, 6)

  x = pointwise(images, 0, 2)
  for number, stride in ((1, 1), (2, 2)):
    begin = f"MobilenetV1/Conv2d_{number}_depthwise/"
    strides = (1, stride, stride, 1)
    x = tf.nn.depthwise_conv2d(
      x, arrays[f"{begin}depthwise_weights"], strides, "SAME"
    )
    norm = {
      part: arrays[f"{begin}BatchNorm/{part}"]
      for part in ("moving_mean", "moving_variance", "beta", "gamma")
    }
    x = tf.nn.batch_normalization(x, *norm.values(), 0.0010000000474974513)
    x = pointwise(tf.clip_by_value(x, 0, 6), number, 1)
  return x.numpy()


@pytest.fixture(scope="module")
def images():
  rng = np.random.default_rng(1)
  return rng.uniform(-1, 1, (6, 32, 32, 3)).astype(np.float32)


def close(found, expected):
  assert np.abs(expected).max() > 1
  np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())


def test_arrays_are_read_as_tensorflow_js_reads_them(detector):
  folder, arrays = detector
  found = detector_port.read(folder)
  assert found.keys() == arrays.keys()
  for name, expected in arrays.items():
    assert found[name].dtype == np.float32
    np.testing.assert_allclose(found[name], expected, rtol=1e-6, atol=1e-6)


def test_the_trunk_computes_what_the_detector_does(detector, images):
  variables = detector_port.variables_of(detector[1], CUT)
  found = MobileNetV1(CUT).apply(variables, jnp.asarray(images))
  close(found, computed_by_tensorflow(detector[1], images))


def test_statistics_are_the_images_and_change_nothing(detector, images):
  variables = detector_port.variables_of(detector[1], CUT)
  found = detector_port.with_statistics(variables, images, CUT)
  expected = computed_by_tensorflow(detector[1], images)
  network = MobileNetV1(CUT)
  close(network.apply(found, jnp.asarray(images)), expected)
  # A step that trains on these images computes the same, and finds them so.
  outputs, after = network.apply(
    jax.tree.map(jnp.asarray, found),
    jnp.asarray(images),
    jnp.ones(len(images), bool),
    update_stats=True,
    mutable=["batch_stats"],
  )
  close(outputs, expected)
  for name, stats in after["batch_stats"].items():
    for kind, values in stats.items():
      np.testing.assert_allclose(
        values, found["batch_stats"][name][kind], rtol=1e-2, atol=1e-3
      )


def test_the_command_writes_a_trunk_that_training_takes(
  detector, make_splits, tmp_path, capsys
):
  faces, out = tmp_path / "faces.npz", tmp_path / "new" / "trunk.safetensors"
  packed.write(faces, "synthetic_faces", make_splits())
  values = flags.FlagValues()
  detector_port.define_flags(values)
  values(
    [
      "detector_port",
      f"--model={detector[0]}",
      f"--packed={faces}",
      f"--out={out}",
      f"--cut={CUT}",
      "--image_size=32",
    ]
  )
  detector_port.main(["detector_port"], values)
  said = capsys.readouterr().out
  assert f"up to {CUT}, statistics of 18 faces: {out}" in said
  config = small_run_config.make(tmp_path / "run")
  config.model.trunk_weights = str(out)
  trunk = setup.init_variables(config, 3)["params"]["trunk"]
  written = safetensors_io.load_variables(out)
  np.testing.assert_array_equal(
    trunk["conv_dw_1"]["kernel"], written["params"]["conv_dw_1"]["kernel"]
  )


def test_what_is_no_detector_is_named(detector, tmp_path):
  folder, arrays = detector
  with pytest.raises(MissingFileError, match=r"package/model of the npm"):
    detector_port.read(tmp_path)
  manifest = (folder / detector_port.MANIFEST).read_text()
  (tmp_path / detector_port.MANIFEST).write_text(manifest)
  with pytest.raises(UserError, match=r"cannot be read .*a\.bin"):
    detector_port.read(tmp_path)
  (tmp_path / "a.bin").write_bytes((folder / "a.bin").read_bytes())
  (tmp_path / "b.bin").write_bytes(b"short")
  with pytest.raises(UserError, match=r"cannot be read .*buffer is smaller"):
    detector_port.read(tmp_path)
  with pytest.raises(UserError, match=r"lacks .*Conv2d_3_depthwise"):
    detector_port.variables_of(arrays, "conv_dw_3_relu")
  name = "MobilenetV1/Conv2d_1_pointwise/weights"
  with pytest.raises(UserError, match=r"conv_pw_1/kernel \(1, 1, 32, 63\)"):
    detector_port.variables_of(arrays | {name: arrays[name][..., 1:]}, CUT)
  (tmp_path / detector_port.MANIFEST).write_text('["a.bin"]')
  with pytest.raises(UserError, match=r"cannot be read"):
    detector_port.read(tmp_path)
  for layer in ("conv_dw_99_relu", "conv_preds"):
    with pytest.raises(UserError, match=rf"{layer}.*must be one of conv1, "):
      detector_port.variables_of(arrays, layer)
