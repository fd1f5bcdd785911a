r"""Ports Keras' MobileNetV1 (alpha 1.0), or a whole trained PAtt-Lite, to Flax.

  python -m pattlite_jax.weights.keras_port \
    --weights mobilenet_1_0_224_tf_no_top.h5 --out trunk.safetensors
  python -m pattlite_jax.weights.keras_port \
    --model model.h5 --out runs/ported

--weights reads every kind of file that Keras or tf.keras wrote for the trunk,
with or without its 1000-class top: .weights.h5, .keras, and .h5 with or without
the model. --model reads what `model.save` wrote in the paper's notebook (.h5,
.keras) and writes a checkpoint that pattlite_jax.load and every --checkpoint
take. Only arrays and the list of layers are read: no code or pickle in a file
is run. What a model computes is compared with what this project's network does,
and refused where it differs.
"""

import itertools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import app, flags
from etils import epath
from flax import traverse_util

from pattlite_jax.config.fields import ATTENTIONS
from pattlite_jax.models.mobilenet_v1_layers import (
  LAYER_NAMES,
  LAYERS,
  PATT_LITE_CUT,
)
from pattlite_jax.runtime import errors, output
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.weights.safetensors_io import Path, Variables, save_variables
from pattlite_jax.weights.trunk import select_layers, trunk_shapes

IMAGENET = "imagenet"
_IMAGENET_METADATA = {
  "origin": "TF-Slim checkpoint MobileNet_v1_1.0_224, via Keras",
  "license": "Apache-2.0",
}
_FLAGS_OF = {
  "weights": ("cut", "origin", "license"),
  "model": ("attention", "class_names"),
}
# Where a layer's arrays, in the order that Keras saves them, go in Flax.
_PARTS = {
  "conv3x3": (("params", "kernel"),),
  "pointwise": (("params", "kernel"),),
  "depthwise": (("params", "kernel"),),
  "bn": (
    ("params", "scale"),
    ("params", "bias"),
    ("batch_stats", "mean"),
    ("batch_stats", "var"),
  ),
  "logits": (("params", "kernel"), ("params", "bias")),
}
_KINDS = {layer.name: layer.kind for layer in LAYERS if layer.kind in _PARTS}


def variables_from_keras(model: Any) -> dict[str, Any]:
  """Returns the Flax variables (f32) of a keras.applications.MobileNet.

  The model may be cut anywhere and may lack its top. Raises UserError for
  another architecture.
  """
  layers = {layer.name: layer.get_weights() for layer in model.layers}
  return flax_variables(layers, source=f"The Keras model {model.name}")


def load_keras_weights(source: Path) -> dict[str, Any]:
  """Returns the Flax variables (f32) of a Keras MobileNetV1 weights file.

  `source` is a file, or "imagenet" to have Keras download its own. The result
  goes as deep as the file does. Raises MissingFileError, or UserError for a
  file that is broken or of another network.
  """
  if source == IMAGENET:
    import keras  # Slow, and needed for the download alone.

    return variables_from_keras(keras.applications.MobileNet(weights=IMAGENET))
  path = epath.Path(source).expanduser()
  if not path.exists():
    raise MissingFileError(
      f"No Keras weights file at {path.resolve()}. Pass --weights=FILE, or "
      f"--weights={IMAGENET} to download Keras' own."
    )
  return flax_variables(_read_trunk(path), source=str(path))


def _read_trunk(path: epath.Path) -> dict[str, list[np.ndarray]]:
  """Returns the arrays of a trunk's file by their layers' names.

  Where the file describes its model, that must compute what MobileNetV1 does.
  """
  # Here, as they import what needs this module.
  from pattlite_jax.weights import (
    keras_graph,
    keras_network,
    keras_places,
    keras_process,
  )

  file = keras_process.read(path)
  if file.description is None:
    return keras_places.of_trunk(file)
  begin = f"{path} is not a MobileNetV1 (--model takes a whole PAtt-Lite)"
  with keras_graph.errors_about(begin):
    layers, model = keras_graph.read(file.description)
    trunk = keras_network.mobilenet(layers)
    arrays = keras_places.of_model(file, model)
  return {name: arrays.get(x.place, []) for name, x in trunk.items()}


def flax_variables(
  layers: Mapping[str, list[np.ndarray]], source: str
) -> dict[str, Any]:
  """Returns the variables of MobileNetV1 from Keras' layers by their names.

  Raises UserError, which begins with `source`, for another network's.
  """
  layers = {name: arrays for name, arrays in layers.items() if arrays}
  names = list(_KINDS)
  depth = max((names.index(n) + 1 for n in layers if n in names), default=1)
  missing = [name for name in names[:depth] if name not in layers]
  unexpected = [name for name in layers if name not in names]
  if missing or unexpected:
    raise UserError(
      f"{source} is not a MobileNetV1: missing {_list(missing)}, unexpected "
      f"{_list(unexpected)}."
    )
  shapes: dict[Any, Any] = traverse_util.flatten_dict(
    trunk_shapes(names[depth - 1])
  )
  flat = {}
  for name in names[:depth]:
    keys = [(group, name, part) for group, part in _PARTS[_KINDS[name]]]
    arrays = [_to_flax(_KINDS[name], array) for array in layers[name]]
    found = [array.shape for array in arrays]
    expected = [shapes[key].shape for key in keys]
    if found != expected:
      raise UserError(
        f"{source} is not a MobileNetV1 of alpha 1.0 (and, with a top, 1000 "
        f"classes): layer {name} has arrays of shape {found}, expected "
        f"{expected}."
      )
    flat |= zip(keys, arrays, strict=True)
  return traverse_util.unflatten_dict(flat)


def _to_flax(kind: str, array: np.ndarray) -> np.ndarray:
  if kind == "depthwise" and array.ndim == 4:
    array = array.swapaxes(2, 3)  # Keras: [h, w, C, 1], Flax: [h, w, 1, C].
  return np.asarray(array, np.float32)


def _list(names: list[str]) -> str:
  """Writes out at most four of `names`."""
  more = f" and {len(names) - 4} more" if len(names) > 4 else ""
  return f"layers {', '.join(names[:4])}{more}" if names else "none"


def _print_layers(variables: Variables) -> int:
  """Prints each layer's shapes and returns the number of parameters."""
  arrays: dict[Any, Any] = traverse_util.flatten_dict(variables)
  keys = sorted(arrays, key=lambda key: LAYER_NAMES.index(key[1]))
  for name, of_layer in itertools.groupby(keys, lambda key: key[1]):
    shapes = [f"{key[2]} {arrays[key].shape}" for key in of_layer]
    print(f"{name:16}{', '.join(shapes)}")
  return sum(array.size for array in arrays.values())


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  for name, text in (
    (
      "weights",
      "Keras weights file of MobileNetV1 (.weights.h5, .h5 or .keras), or "
      f"'{IMAGENET}' to let Keras download its own (17 MB).",
    ),
    ("model", "A whole model of the paper's notebook (.h5 or .keras)."),
    (
      "out",
      "With --weights the safetensors file to write, with --model the workdir.",
    ),
    (
      "origin",
      "With --weights: where they come from, kept in the file's metadata "
      "(default: the name of the file read).",
    ),
    ("license", "With --weights: their licence, kept in the metadata."),
  ):
    flags.DEFINE_string(name, None, text, flag_values=values)
  flags.mark_flag_as_required("out", flag_values=values)
  flags.mark_flags_as_mutual_exclusive(
    ["weights", "model"], required=True, flag_values=values
  )
  flags.DEFINE_string(
    "cut",
    PATT_LITE_CUT,
    "With --weights: last layer to keep, by its Keras name, such as "
    "conv_pw_13_relu (all but the top) or predictions (everything).",
    flag_values=values,
  )
  flags.DEFINE_enum(
    "attention",
    None,
    ATTENTIONS,
    "With --model: what its Attention layer must attend over, or it is refused "
    "(default: whatever it does; the notebook's, over the images of a batch).",
    flag_values=values,
  )
  flags.DEFINE_list(
    "class_names",
    None,
    "With --model: names of its classes, in the order of its labels (default: "
    "the notebook's, by alphabet).",
    flag_values=values,
  )


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Ports --weights or --model to --out and prints what was kept."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  other = "model" if given.model is None else "weights"
  for name in _FLAGS_OF[other]:
    if given[name].present:
      raise app.UsageError(f"--{name} goes with --{other} alone.")
  with errors.in_one_line():
    _port_model(given) if given.weights is None else _port_weights(given)


def _port_model(given: flags.FlagValues) -> None:
  # Here, as keras_model imports this module, and --weights needs neither.
  from pattlite_jax.runtime import parallel, startup
  from pattlite_jax.weights import keras_model

  startup.configure()
  parallel.require_devices()
  config, class_names = keras_model.port(
    given.model,
    given.out,
    attention=given.attention,
    class_names=given.class_names and tuple(given.class_names),
  )
  size = config.model.image_size
  print(
    f"Attention {config.model.attention}; classes {', '.join(class_names)}.\n"
    f"Pictures of pixels 0-255 are resized to {size} x {size} and scaled to "
    f"[-1, 1], as in the notebook's model.\nCheckpoint: {given.out}; "
    f"pattlite_jax.load({str(given.out)!r}) loads it."
  )


def _port_weights(given: flags.FlagValues) -> None:
  source, out, cut = given.weights, given.out, given.cut
  if cut not in LAYER_NAMES:
    raise UserError(
      f"--cut is {cut!r}, but must be one of {', '.join(LAYER_NAMES)}."
    )
  variables = load_keras_weights(source)
  try:
    variables = select_layers(variables, trunk_shapes(cut))
  except UserError as error:
    raise UserError(f"--weights={source} --cut={cut}: {error}") from error
  parameters = _print_layers(variables)
  metadata = {"origin": os.path.basename(source)}
  if source == IMAGENET:
    metadata = dict(_IMAGENET_METADATA)
  if given.origin:
    metadata["origin"] = given.origin
  if given.license:
    metadata["license"] = given.license
  metadata |= {"cut": cut, "parameters": str(parameters)}
  save_variables(out, variables, metadata)
  print(f"{parameters:,} parameters up to {cut}: {out}")


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main)
