"""Reads a whole PAtt-Lite that the paper's notebook trained, from its file.

Only arrays and the JSON that describes the layers are read; no code or pickle
in a file is run. The trunk's layers are found by Keras' names, the head's by
the ranks of their arrays, as their names change from one run to the next.
"""

import dataclasses
import itertools
import json
from collections.abc import Iterator
from typing import Any

import h5py
import ml_collections
import numpy as np
from etils import epath
from flax import traverse_util

from pattlite_jax import config as config_lib
from pattlite_jax import methods
from pattlite_jax.method import TRUNK
from pattlite_jax.models.attention_classifier import AttentionClassifier
from pattlite_jax.models.mobilenet_v1_layers import LAYER_NAMES
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.weights import checkpoint, keras_files
from pattlite_jax.weights.keras_files import Layers, Stored
from pattlite_jax.weights.keras_port import flax_variables
from pattlite_jax.weights.safetensors_io import Path
from pattlite_jax.weights.trunk import select_layers

# The notebook's labels: folders by alphabet, contempt only in sets of eight.
CLASS_NAMES = (
  "anger",
  "contempt",
  "disgust",
  "fear",
  "happiness",
  "neutral",
  "sadness",
  "surprise",
)
_HEAD = ("params", "attention_classifier")
_POSSIBLE_SIZES = range(1, 4097)  # Pixels.
_ATTENTION_SCALE = (*_HEAD, "attention_scale")


@dataclasses.dataclass(frozen=True)
class Geometry:
  """What a model's JSON says of the network."""

  input_size: int  # Pixels a side of the pictures it was trained on.
  image_size: int  # Pixels a side after its Resizing layer, if it has one.
  patch_stride: int
  cut: str  # Last layer of the trunk, by its Keras name.


def port(
  source: Path,
  out: Path,
  *,
  attention: str,
  class_names: tuple[str, ...] | None,
) -> tuple[ml_collections.ConfigDict, tuple[str, ...]]:
  """Writes the model of `source` as a checkpoint of `out`; see `describe`.

  `class_names` are the notebook's if None. Returns the checkpoint's config and
  class names. Raises OSError, or UserError for a file of another network.
  """
  layers, geometry = read_model(source)
  flat = _place(layers, source)
  num_classes = flat[(*_HEAD, "classifier", "bias")].size
  if attention == "none":  # Models that had the layer taken out lack it.
    flat.setdefault(_ATTENTION_SCALE, np.ones((), np.float32))
  config = config_lib.get_config()
  config.workdir = str(out)
  config.data.image_size = geometry.input_size
  config.model.attention = attention
  config.model.image_size = geometry.image_size
  config.model.patch_stride = geometry.patch_stride
  config.model.cut = geometry.cut
  shapes = methods.build(config, num_classes).shapes
  try:
    variables = select_layers(traverse_util.unflatten_dict(flat), shapes)
  except UserError as error:
    raise UserError(f"{source} is not a PAtt-Lite: {error}") from error
  class_names = class_names or _default_class_names(num_classes)
  if len(class_names) != num_classes:
    raise UserError(
      f"--class_names has {len(class_names)} names "
      f"({', '.join(class_names)}), but the model has {num_classes} classes."
    )
  checkpoint.save_best(out, variables, config, class_names)
  return config, class_names


def _default_class_names(num_classes: int) -> tuple[str, ...]:
  names = {8: CLASS_NAMES, 7: (CLASS_NAMES[0], *CLASS_NAMES[2:])}
  if num_classes not in names:
    raise UserError(
      f"The model has {num_classes} classes, not the notebook's 7 or 8; name "
      "them with --class_names=a,b,c in the order of its labels."
    )
  return names[num_classes]


def read_model(source: Path) -> tuple[Layers, Geometry]:
  """Returns the layers that have arrays (f32), and the network's geometry.

  Reads .keras of Keras 3, and .h5 of any Keras. Raises MissingFileError, or
  UserError for anything else.
  """
  path = epath.Path(source).expanduser()
  if not path.is_file():
    raise MissingFileError(f"No Keras model at {path.resolve()} (--model).")
  with keras_files.open_file(path) as (file, description):
    if description is None:
      raise UserError(
        "it holds no description of its model, as model.save writes one"
      )
    if "model_weights" in file:
      stored = _legacy_layers(file["model_weights"])
    else:
      stored = _keras3_layers(file["layers"], set())
    layers = keras_files.read_arrays(file, stored)
    described = list(_described(json.loads(description)))
  try:
    return layers, _geometry(described, path)
  except (AttributeError, LookupError, TypeError) as error:
    raise UserError(
      f"{path} does not describe its model as Keras does: {error!r}"
    ) from error


def _legacy_layers(group: h5py.Group) -> Stored:
  """Yields the layers of an .h5, those inside a nested model one by one."""
  for layer in map(keras_files.text, group.attrs["layer_names"]):
    keys = map(keras_files.text, group[layer].attrs["weight_names"])
    owned = [((layer, *key.split("/"))[-2], key) for key in keys]
    # A partly frozen model lists what trains first: join each layer's again.
    owned.sort(key=lambda pair: pair[0])
    for owner, pairs in itertools.groupby(owned, lambda pair: pair[0]):
      yield owner, [group[layer][key] for _, key in pairs]


def _keras3_layers(group: h5py.Group, seen: set[h5py.Group]) -> Stored:
  """Yields the layers of a group and those of the models among them.

  `seen` are the groups read before: links could lead in a circle.
  """
  if group in seen:
    raise UserError(f"{group.name} is there twice")
  seen.add(group)
  for key, layer in group.items():
    if len(layer.get("vars", ())):
      arrays = layer["vars"]
      # Files of the first Keras 3 have no names; the trunk's can be found.
      in_trunk = "depthwise_conv2d" in group
      name = keras_files.name_of_group(key) if in_trunk else key
      yield (
        keras_files.text(arrays.attrs.get("name", name)),
        [arrays[str(i)] for i in range(len(arrays))],
      )
    if "layers" in layer:
      yield from _keras3_layers(layer["layers"], seen)


def _described(model: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
  """Yields (class, fields) of each layer, each after those before it."""
  for layer in model["config"]["layers"]:
    yield layer["class_name"], layer["config"]
    if "layers" in layer["config"]:
      yield from _described(layer)


def _geometry(
  described: list[tuple[str, dict[str, Any]]], source: Path
) -> Geometry:
  fields = {
    name: [f for c, f in described if c == name] for name, _ in described
  }
  if "Lambda" in fields:
    raise UserError(
      f"{source} has a Lambda layer, whose code is never run; build the model "
      "with Keras' own layers, set its weights and save it again."
    )
  names = [f["name"] for _, f in described]
  trunk = [n for n in names if n.startswith("conv") and n in LAYER_NAMES]
  patches = [
    f for f in fields.get("SeparableConv2D", []) if f["kernel_size"][0] == 4
  ]
  if not (trunk and len(patches) == 1 and "InputLayer" in fields):
    raise UserError(
      f"{source} is not a PAtt-Lite: expected MobileNet's layers and one 4x4 "
      f"SeparableConv2D, but its layers are {', '.join(names[:12])}, ..."
    )
  first = fields["InputLayer"][0]
  # Keras 2 has another name for it.
  shape = first.get("batch_shape") or first["batch_input_shape"]
  sizes = {"input": (shape[1], shape[2])}
  for resizing in fields.get("Resizing", []):
    sizes["Resizing layer"] = (resizing["height"], resizing["width"])
    if resizing.get("interpolation", "bilinear") != "bilinear":
      raise UserError(
        f"{source} resizes pictures by {resizing['interpolation']}, but this "
        "project does so bilinearly."
      )
  for name, (height, width) in sizes.items():
    if height not in _POSSIBLE_SIZES or height != width:
      raise UserError(
        f"{source}: the {name}'s pictures have {height} x {width} pixels, but "
        f"they must be square and of one size, up to {_POSSIBLE_SIZES[-1]}."
      )
  stride = patches[0]["strides"][0]
  if stride not in _POSSIBLE_SIZES:
    raise UserError(
      f"{source}: its 4x4 SeparableConv2D has the stride {stride!r}, but must "
      "have one of whole pixels."
    )
  return Geometry(
    input_size=sizes["input"][0],
    image_size=sizes.get("Resizing layer", sizes["input"])[0],
    patch_stride=stride,
    cut=trunk[-1],
  )


def _place(layers: Layers, source: Path) -> dict[tuple[str, ...], np.ndarray]:
  """Returns the arrays by their place in PAttLite's variables."""
  in_trunk = {name: arrays for name, arrays in layers if name in LAYER_NAMES}
  trunk = traverse_util.flatten_dict(flax_variables(in_trunk, str(source)))
  flat: dict[tuple[str, ...], Any] = {
    (key[0], TRUNK, *key[1:]): array for key, array in trunk.items()
  }
  for name, arrays in layers:
    if name in LAYER_NAMES:
      continue
    places = _head_places(arrays)
    if not places or places[0] in flat:
      shapes = [array.shape for array in arrays]
      raise UserError(
        f"{source} is not a PAtt-Lite of this form: nothing takes layer {name} "
        f"with arrays of shape {shapes}."
      )
    flat |= zip(places, arrays, strict=True)
  wanted = (*_HEAD, "classifier", "bias")
  if wanted not in flat:
    raise UserError(f"{source} has no Dense layer after its attention.")
  for key in [key for key in flat if key[-2] == "depthwise"]:
    flat[key] = flat[key].swapaxes(2, 3)  # [h, w, C, 1] -> [h, w, 1, C].
  return flat


def _head_places(arrays: list[np.ndarray]) -> list[tuple[str, ...]]:
  """Returns where a layer's arrays go, or nothing for an unknown layer."""
  shape = arrays[0].shape
  patches = ("params", "patch_extraction")
  match tuple(array.ndim for array in arrays):
    case (4, 4, 1):  # SeparableConv2D
      layer = (*patches, "patch1" if shape[0] == 4 else "patch2")
      pointwise = (*layer, "pointwise")
      return [
        (*layer, "depthwise", "kernel"),
        (*pointwise, "kernel"),
        (*pointwise, "bias"),
      ]
    case (4, 1):
      return [(*patches, "patch3", name) for name in ("kernel", "bias")]
    case (2, 1):
      hidden = shape[1] == AttentionClassifier.hidden
      layer = (*_HEAD, "pre_classifier" if hidden else "classifier")
      return [(*layer, name) for name in ("kernel", "bias")]
    case (1, 1, 1, 1):
      layer = (_HEAD[1], "pre_classifier_bn")
      return [
        ("params", *layer, "scale"),
        ("params", *layer, "bias"),
        ("batch_stats", *layer, "mean"),
        ("batch_stats", *layer, "var"),
      ]
    case (0,):
      return [_ATTENTION_SCALE]
  return []
