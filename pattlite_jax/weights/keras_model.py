"""Reads a whole PAtt-Lite that the paper's notebook trained, from its file.

Only arrays and the JSON that describes the layers are read; no code or pickle
in a file is run. What the model computes is compared, layer by layer, with what
this project's network computes (`keras_network`).
"""

from typing import Any

import ml_collections
import numpy as np
from etils import epath
from flax import traverse_util

from pattlite_jax import config as config_lib
from pattlite_jax import methods
from pattlite_jax.method import TRUNK
from pattlite_jax.runtime import class_names as class_names_lib
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.weights import (
  checkpoint,
  keras_graph,
  keras_network,
  keras_places,
  keras_process,
)
from pattlite_jax.weights.keras_network import HEAD, Network
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
_SCALE = ("params", HEAD, "attention_scale")
# Where a layer's arrays, in the order that Keras saves them, go in Flax.
_DENSE = (("params", "kernel"), ("params", "bias"))
_SEPARABLE = (
  ("params", "depthwise", "kernel"),
  ("params", "pointwise", "kernel"),
  ("params", "pointwise", "bias"),
)
_PARTS = {
  "patch1": _SEPARABLE,
  "patch2": _SEPARABLE,
  "patch3": _DENSE,
  "pre_classifier": _DENSE,
  "pre_classifier_bn": (
    ("params", "scale"),
    ("params", "bias"),
    ("batch_stats", "mean"),
    ("batch_stats", "var"),
  ),
  "attention_scale": (("params",),),
  "classifier": _DENSE,
}
Flat = dict[tuple[str, ...], np.ndarray]


def port(
  source: Path,
  out: Path,
  *,
  attention: str | None = None,
  class_names: tuple[str, ...] | None = None,
) -> tuple[ml_collections.ConfigDict, tuple[str, ...]]:
  """Writes the model of `source` as a checkpoint of `out`.

  `attention` is what the model must have, if not None, and `class_names` are
  the notebook's if None. Returns the checkpoint's config and class names.

  Raises:
    OSError: if a file cannot be read or written.
    UserError: for a file of another network; says what differs.
  """
  flat, network = read_model(source)
  if attention is not None and attention != network.attention:
    raise UserError(_other_attention(source, attention, network.attention))
  flat.setdefault(_SCALE, np.ones((), np.float32))  # "none" has no layer of it.
  config = config_lib.get_config()
  config.workdir = str(out)
  config.data.image_size = network.input_size
  config.model.attention = network.attention
  config.model.image_size = network.image_size
  config.model.patch_stride = network.patch_stride
  config.model.cut = network.cut
  bias = flat[("params", HEAD, "classifier", "bias")]
  if bias.size != network.num_classes:
    raise UserError(
      f"{source} is broken: its last Dense has {network.num_classes} units, "
      f"but weights of {bias.size}."
    )
  names = _class_names(class_names, bias)
  try:
    shapes = methods.build(config, len(names)).shapes
    variables = select_layers(traverse_util.unflatten_dict(flat), shapes)
  except UserError as error:
    raise UserError(f"{source} is not a PAtt-Lite: {error}") from error
  size = network.input_size
  checkpoint.save_best(
    out, variables, config, names, image_shape=(size, size, 3)
  )
  return config, names


def _other_attention(source: Path, wanted: str, found: str) -> str:
  words = {
    "batch": "has an Attention layer over the images of a batch",
    "token": "has an Attention layer over the patches of an image",
    "none": "has no Attention layer, so that its weights lack "
    "params/attention_classifier/attention_scale",
  }
  return (
    f"{source} {words[found]}, which is attention {found!r}, but {wanted!r} is "
    "asked for; leave --attention out to take what the model has."
  )


def _class_names(
  given: tuple[str, ...] | None, bias: np.ndarray
) -> tuple[str, ...]:
  """Returns the names of the classes; `bias` has a number for each."""
  defaults = {8: CLASS_NAMES, 7: (CLASS_NAMES[0], *CLASS_NAMES[2:])}
  names = given or defaults.get(bias.size)
  if names is None:
    raise UserError(
      f"The model has {bias.size} classes, not the notebook's 7 or 8; name "
      "them with --class_names=a,b,c in the order of its labels."
    )
  if len(names) != bias.size:
    raise UserError(
      f"--class_names has {len(names)} names ({', '.join(names)}), but the "
      f"model has {bias.size} classes."
    )
  return class_names_lib.checked(names, "--class_names")


def read_model(source: Path) -> tuple[Flat, Network]:
  """Returns a model's arrays (f32) by their place in PAttLite's variables.

  Reads .keras, and .h5, of Keras 3 and of tf.keras. Shapes are not checked.

  Raises:
    MissingFileError: if there is no file.
    UserError: for a file of another network; says what differs.
  """
  path = epath.Path(source).expanduser()
  if not path.exists():
    raise MissingFileError(f"No Keras model at {path.resolve()} (--model).")
  file = keras_process.read(path)
  if file.description is None:
    raise UserError(
      f"{path} holds weights alone, with no description of its model. Give the "
      "weights to the model in Keras, and save it whole, with "
      "model.save('model.keras'). The weights of a MobileNet alone are what "
      "--weights takes."
    )
  with keras_graph.errors_about(f"{path} is not a PAtt-Lite"):
    layers, model = keras_graph.read(file.description)
    network = keras_network.pattlite(layers)
    return _flat(network, keras_places.of_model(file, model)), network


def _flat(network: Network, arrays: keras_places.Arrays) -> Flat:
  """Returns the arrays by their place in PAttLite's variables."""
  trunk = {
    name: arrays.get(layer.place, []) for name, layer in network.trunk.items()
  }
  variables: dict[Any, Any] = traverse_util.flatten_dict(
    flax_variables(trunk, "its trunk")
  )
  flat: dict[tuple[str, ...], Any] = {
    (key[0], TRUNK, *key[1:]): array for key, array in variables.items()
  }
  for (module, name), layer in network.head.items():
    parts, found = _PARTS[name], arrays.get(layer.place, [])
    if len(found) != len(parts):
      raise UserError(
        f"has {len(found)} arrays of its layer {layer}, expected {len(parts)}"
      )
    for (group, *rest), array in zip(parts, found, strict=True):
      if rest == ["depthwise", "kernel"] and array.ndim == 4:
        array = array.swapaxes(2, 3)  # [h, w, C, 1] -> [h, w, 1, C].
      flat[group, module, name, *rest] = array
  return flat
