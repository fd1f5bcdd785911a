"""The first weights of a trunk: those that this package ships, or a file."""

from typing import Any

import jax
import numpy as np
from etils import epath
from flax import traverse_util

from pattlite_jax.method import TRUNK
from pattlite_jax.models.mobilenet_v1 import MobileNetV1
from pattlite_jax.runtime import errors
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.weights import torch_port
from pattlite_jax.weights.safetensors_io import Path, Variables, load_variables

IMAGENET_TRUNK = (
  epath.Path(__file__).parent / "mobilenet_v1_imagenet_trunk.safetensors"
)


def load_mobilenet_trunk(path: Path = IMAGENET_TRUNK) -> dict[str, Any]:
  """Returns MobileNetV1's variables as NumPy arrays, of a file of keras_port.

  The shipped file ends at conv_pw_9_relu; README.md beside it names its origin.
  """
  with errors.about("model.trunk_weights"):
    return load_variables(path)


def load_trunk(path: Path, name: str, shapes: Variables) -> dict[str, Any]:
  """Returns a trunk's variables as NumPy arrays from the user's file.

  `name` is that of config.model.trunk, `shapes` are its variables.
  MobileNetV1's file is one of keras_port, any other's a PyTorch state dict.
  """
  if name == "mobilenet_v1":
    return load_mobilenet_trunk(path)
  with errors.about("model.trunk_weights"):
    return torch_port.load(path, name, shapes)


def require(path: Path, name: str) -> None:
  """Raises MissingFileError or UserError if there is no file for `load_trunk`.

  MobileNetV1's is read whole; of PyTorch's, which may need PyTorch, one knows
  only later whether they fit.
  """
  if name == "mobilenet_v1":
    load_mobilenet_trunk(path)
  else:
    with errors.about("model.trunk_weights"):
      torch_port.require(path)


def trunk_shapes(cut: str) -> dict[str, Any]:
  """Returns MobileNetV1's variables, cut after layer `cut`, as shapes."""
  images = jax.ShapeDtypeStruct((1, 224, 224, 3), np.float32)
  return jax.eval_shape(
    lambda x: MobileNetV1(cut).init(jax.random.key(0), x), images
  )


def select_layers(
  variables: Variables, wanted: Variables, *, all_used: bool = False
) -> dict[str, Any]:
  """Returns the arrays of `variables` that the tree `wanted` has too.

  Raises UserError naming those that are missing or of another shape, and with
  `all_used` those that have no place.
  """
  found: dict[str, Any] = traverse_util.flatten_dict(variables, sep="/")
  needed: dict[str, Any] = traverse_util.flatten_dict(wanted, sep="/")
  missing = [key for key in needed if key not in found]
  mismatching = [
    f"{key} {found[key].shape} instead of {needed[key].shape}"
    for key in needed
    if key in found and found[key].shape != needed[key].shape
  ]
  problems = []
  if missing:
    problems.append(f"they lack {_few(missing)}")
  if mismatching:
    problems.append(f"they have {_few(mismatching)}")
  if all_used and (unused := [key for key in found if key not in needed]):
    problems.append(f"nothing takes their {_few(unused)}")
  if problems:
    raise UserError(f"The weights do not fit: {'; '.join(problems)}.")
  selected = {key: found[key] for key in needed}
  return traverse_util.unflatten_dict(selected, sep="/")


def _few(names: list[str]) -> str:
  """Writes out at most four of `names`."""
  more = f" and {len(names) - 4} more" if len(names) > 4 else ""
  return ", ".join(names[:4]) + more


def insert_trunk(
  variables: Variables, trunk_variables: Variables
) -> dict[str, Any]:
  """Returns a network's `variables` with the trunk of `trunk_variables`.

  Layers beyond the model's cut are left out; missing ones are a UserError.
  """
  own = {name: tree[TRUNK] for name, tree in variables.items() if TRUNK in tree}
  try:
    selected = select_layers(trunk_variables, own)
  except UserError as error:
    raise UserError(
      f"{error} The trunk's file must reach as deep as the model's cut "
      "(config.model.cut). `python -m pattlite_jax.weights.keras_port "
      "--weights imagenet --cut CUT --out FILE.safetensors` writes a deeper "
      "one for config.model.trunk_weights.",
      setting="model.trunk_weights",
    ) from error
  return {
    name: {**tree, TRUNK: selected[name]} if name in selected else tree
    for name, tree in variables.items()
  }
