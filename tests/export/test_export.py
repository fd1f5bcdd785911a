"""Exported files give what JAX gives, and say what they are."""

import copy
import functools
import io
import json
import subprocess
import sys
import zipfile

import jax
import numpy as np
import onnx
import onnxruntime
import pytest
from absl import flags
from onnx import numpy_helper

from pattlite_jax import config as config_lib
from pattlite_jax import methods
from pattlite_jax.data.examples import Examples
from pattlite_jax.data.source import DataChoice
from pattlite_jax.export import (
  __main__,
  check,
  int8,
  networks,
  onnx_file,
  stablehlo_file,
  tflite_file,
  write,
)
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.trained import Trained
from pattlite_jax.weights import model_folder

CLASS_NAMES = ("anger", "disgust", "happiness")
# Sizes that are odd, so that "same" pads unevenly, and pictures that are no
# squares.
VARIANTS = {
  "token": ("pattlite", (14, 18, 1), {"attention": "token"}),
  "colours": ("pattlite", (16, 16, 3), {"attention": "batch"}),
  "whole": ("pattlite", (16, 16, 1), {"patch_extraction": False}),
  "eac": ("eac", (16, 16, 1), {}),
  "baseline": ("baseline", (15, 15, 1), {"stem_stride": 1}),
  "normalised": ("pattlite", (16, 16, 1), {"patch_batch_norm": True}),
  "calibrated": ("eac", (16, 16, 1), {}),
}
# Of those without operations of ONNX's own here.
OTHERS = {
  name: (name, (16, 16, 1), {"depth": 2, "width": 16, "embedding_size": 8})
  for name in methods.METHODS.keys() - {m for m, *_ in VARIANTS.values()}
}


def draw(rng, path, leaf):
  """Returns a parameter or a statistic, large enough to matter."""
  if path[-1].key in ("scale", "var"):
    return rng.uniform(0.3, 0.9, leaf.shape).astype(np.float32)
  if len(leaf.shape) < 2:
    return rng.normal(0, 0.3, leaf.shape).astype(np.float32)
  size = 1.5 / np.sqrt(np.prod(leaf.shape[:-1]))
  return rng.normal(0, size, leaf.shape).astype(np.float32)


def make_network(variant, **fields):
  """Returns a network of drawn weights, statistics of batch norm included."""
  method, image_shape, model = (VARIANTS | OTHERS)[variant]
  config = config_lib.get_config()
  config.method = method
  config.data.name = "synthetic_faces"
  config.model.update(
    {"image_size": 27, "cut": "conv_pw_2_relu", "patch_stride": 2}
    | model
    | fields
  )
  built = methods.build(config, len(CLASS_NAMES))
  rng = np.random.default_rng(0)
  variables = jax.tree_util.tree_map_with_path(
    functools.partial(draw, rng), built.shapes
  )
  temperature = 0.5 if variant == "calibrated" else 1.0
  return Trained(
    variables, config, CLASS_NAMES, image_shape, temperature=temperature
  )


@pytest.fixture(scope="module")
def made():
  return {variant: make_network(variant) for variant in VARIANTS}


@pytest.fixture(scope="module")
def files(made):
  """What was exported, by variant, format and precision."""
  kept = {}

  def export(variant, file_format, precision="float32", **options):
    key = (variant, file_format, precision, *options.values())
    if key not in kept:
      kept[key] = write.content_of(
        made[variant], file_format, precision=precision, **options
      )
    return kept[key]

  return export


def test_the_network_tells_faces_apart(made):
  """Else files that compute something else would pass."""
  network = made["token"]
  logits = network.logits(check.drawn_faces(network))
  assert np.ptp(jax.nn.softmax(logits), axis=0).min() > 0.01


def test_a_temperature_divides_the_logits(made):
  calibrated, plain = made["calibrated"], made["eac"]
  faces = check.drawn_faces(plain)
  np.testing.assert_allclose(
    calibrated.logits(faces), plain.logits(faces) / 0.5, rtol=1e-5
  )
  assert calibrated.sha256() != plain.sha256()


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_onnx_file_gives_what_jax_gives(files, variant):
  _, said = files(variant, "onnx")
  assert said["largest_difference"] <= 1e-5


@pytest.mark.parametrize(
  "variant",
  ["token"]
  + [
    pytest.param(v, marks=pytest.mark.slow) for v in ("colours", "normalised")
  ],
)
def test_a_tflite_file_gives_what_jax_gives(files, variant):
  _, said = files(variant, "tflite")
  assert said["largest_difference"] <= 1e-5


@pytest.mark.slow
def test_stablehlo_gives_what_jax_gives(files):
  for variant in ("token", "colours", "calibrated"):
    _, said = files(variant, "stablehlo")
    assert said["largest_difference"] <= 1e-5


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(OTHERS))
def test_stablehlo_is_written_of_every_method(method):
  _, said = write.content_of(make_network(method), "stablehlo")
  assert said["largest_difference"] <= 1e-5


@pytest.mark.parametrize("method", sorted(OTHERS))
def test_what_onnx_files_are_not_written_of_is_said(method):
  with pytest.raises(UserError, match=rf"{method}.*stablehlo files of all"):
    write.content_of(make_network(method), "onnx")


def test_another_network_is_told_by_the_difference(made, files):
  content, _ = files("token", "onnx")
  model = onnx.load_model_from_string(content)
  for constant in model.graph.initializer:
    if constant.name == "conv_dw_2_kernel":  # A convolution, turned over.
      kernel = numpy_helper.to_array(constant)[:, :, ::-1]
      constant.CopyFrom(numpy_helper.from_array(kernel.copy(), constant.name))
  wrong = model.SerializeToString()
  difference = check.largest_difference(made["token"], onnx_file.opened(wrong))
  with pytest.raises(UserError, match="differs from JAX by"):
    check.require_small(difference, "float32")


def test_the_onnx_graph_is_small_and_open_in_its_batch(files):
  content, _ = files("token", "onnx")
  model = onnx.load_model_from_string(content)
  kinds = [node.op_type for node in model.graph.node]
  assert kinds.count("Conv") == 5 + 5 and len(kinds) <= 40
  session = onnxruntime.InferenceSession(content)
  (given,), (output,) = session.get_inputs(), session.get_outputs()
  assert (given.name, given.type) == ("faces", "tensor(uint8)")
  assert given.shape == ["batch", 14, 18, 1]
  assert output.name == "probabilities" and output.shape == ["batch", 3]


@pytest.mark.slow
def test_float16_halves_a_file(files):
  for file_format in ("onnx", "tflite"):
    (whole, _), (half, said) = (
      files("token", file_format, precision)
      for precision in ("float32", "float16")
    )
    assert len(half) < 0.6 * len(whole)
    assert 0 < said["largest_difference"] < 0.05


def test_files_say_what_they_are(files, made):
  session = onnxruntime.InferenceSession(files("token", "onnx")[0])
  of_onnx = session.get_modelmeta().custom_metadata_map
  assert json.loads(of_onnx["class_names"]) == list(CLASS_NAMES)
  assert of_onnx["sha256"] == made["token"].sha256()
  for file_format in ("tflite", "stablehlo"):
    content, said = files("token", file_format)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
      assert json.loads(archive.read("metadata.json")) == said
    assert said["image_shape"] == [14, 18, 1]
    assert said["trained_on"] == "synthetic_faces"
    assert said.keys() - {"lowering"} == of_onnx.keys()
  # The archive behind it does not hide the network.
  faces = check.drawn_faces(made["token"])[:2]
  content, _ = files("token", "tflite")
  np.testing.assert_allclose(
    tflite_file.opened(content)(faces),
    onnx_file.opened(files("token", "onnx")[0])(faces),
    atol=1e-5,
  )


@pytest.mark.slow
def test_plain_stablehlo_has_no_branch(files):
  texts = {}
  for lowering in stablehlo_file.LOWERINGS:
    content, said = files("token", "stablehlo", lowering=lowering)
    assert said["largest_difference"] <= 1e-5
    exported = jax.export.deserialize(bytearray(content))
    texts[lowering] = exported.mlir_module()
    assert exported.in_avals[0].shape[1:] == (14, 18, 1)
    if lowering == "auto":
      assert exported.platforms == ("cpu", "cuda", "tpu")
  assert "stablehlo.case" in texts["auto"]
  assert "stablehlo.case" not in texts["plain"]
  calls = texts["plain"].count("custom_call @")
  assert calls == texts["plain"].count("custom_call @shape_assertion")


@pytest.mark.slow
def test_stablehlo_needs_jax_and_flatbuffers_alone(files, made, tmp_path):
  content, _ = files("token", "stablehlo")
  (tmp_path / "f").write_bytes(content)
  faces = check.drawn_faces(made["token"])[:3]
  np.save(tmp_path / "faces.npy", faces)
  code = """
import sys
for name in ("flax", "pattlite_jax", "tensorflow", "optax", "orbax"):
  sys.modules[name] = None
import jax, numpy, pathlib
network = jax.export.deserialize(bytearray(pathlib.Path("f").read_bytes()))
numpy.save("p.npy", jax.jit(network.call)(numpy.load("faces.npy")))
"""
  subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
  np.testing.assert_allclose(
    np.load(tmp_path / "p.npy"),
    stablehlo_file.opened(content)(faces),
    atol=1e-6,
  )


def faces_for_int8(network, content):
  """Returns drawn faces whose labels are what the float32 file says."""
  images = check.drawn_faces(network)
  labels = onnx_file.opened(content)(images).argmax(-1).astype(np.int32)
  ids = np.arange(len(images)).astype(str)
  examples = Examples(images, labels, ids, CLASS_NAMES)
  return int8.Faces(examples, examples)


def test_int8_is_refused_where_it_costs_accuracy(files, made):
  content, _ = files("token", "onnx")
  faces = faces_for_int8(made["token"], content)
  quantised, accuracies = int8.content(content, faces, largest_fall=0.2)
  assert accuracies["float32_accuracy"] == 1
  found = onnx_file.opened(quantised)(faces.judging.images).argmax(-1)
  right = (found == faces.judging.labels).mean()
  assert accuracies["int8_accuracy"] == right > 0.8
  kinds = {
    constant.data_type
    for constant in onnx.load_model_from_string(quantised).graph.initializer
    if constant.name.endswith("kernel_quantized")
  }
  assert kinds == {onnx.TensorProto.INT8}
  with pytest.raises(UserError, match="the accuracy on 64 faces falls"):
    int8.content(content, faces, largest_fall=-0.5)


def test_nothing_is_left_of_a_file_that_differs(made, tmp_path):
  network = made["eac"]
  broken = copy.deepcopy(network.variables)
  broken["params"]["classifier"]["kernel"][:] = 3e38  # Logits overflow.
  model_folder.write(
    tmp_path / "model",
    broken,
    {
      "config": network.config.to_dict(),
      "class_names": list(CLASS_NAMES),
      "image_shape": [16, 16, 1],
    },
  )
  out = tmp_path / "out" / "f.onnx"
  with pytest.raises(UserError, match="differs from JAX by nan"):
    write.export(
      tmp_path / "model",
      "onnx",
      out,
      precision="float32",
      lowering="auto",
      choice=DataChoice(),
    )
  assert not out.parent.exists()


def test_what_a_format_cannot_hold_is_said():
  with pytest.raises(UserError, match="tflite files cannot be int8, but float"):
    write.export(
      "ferplus",
      "tflite",
      "f",
      precision="int8",
      lowering="auto",
      choice=DataChoice(),
    )
  network = make_network("eac", cut="global_average_pooling2d", image_size=64)
  with pytest.raises(UserError, match="ends at global_average_pooling2d"):
    networks.probabilities(onnx_file.Graph(float16=False), "faces", network)


def test_the_flags_allow_what_the_formats_have():
  values = flags.FlagValues()
  __main__.define_flags(values)
  assert set(__main__.FORMATS) == set(write.FORMATS)
  assert set(__main__.PRECISIONS) == set(write.FORMATS["onnx"])
  assert __main__.LOWERINGS == stablehlo_file.LOWERINGS
