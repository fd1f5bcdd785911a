"""A trained network as plain files, and the networks that the package ships.

weights.safetensors   the variables, see weights/safetensors_io.py
config.json           what they are: the run's config, class_names, image_shape
                      [H, W, C] of the images it was trained on, the temperature
                      that divides the logits (1 if there is none), and what
                      `release` found out about them
network.onnx          the network for onnxruntime, whose hashes config.json has
README.md, *.png      the model card
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

from pattlite_jax.runtime import durable, json_file
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.runtime.lazy import epath
from pattlite_jax.weights import file_kinds

WEIGHTS, CONFIG = "weights.safetensors", "config.json"
ONNX = "network.onnx"
PREPROCESSING = (
  "Faces are filled to the shape of image_shape [H, W, C] with their mean, the "
  "crop in the middle, and become uint8 images of it; the network makes "
  "grey RGB, resizes to config.model.image_size (bilinear) and scales to "
  "[-1, 1]."
)
_SHIPPED = pathlib.Path(__file__).parent.parent / "released"


def shipped() -> list[str]:
  """Returns the names of the networks that come with the package."""
  return sorted(path.parent.name for path in _SHIPPED.glob(f"*/{WEIGHTS}"))


def find(name: epath.PathLike) -> pathlib.Path | epath.Path | None:
  """Returns the folder that `name` is, or that of the shipped network.

  None if it is neither. A folder of that name comes first.
  """
  local = durable.is_local(name)
  own = pathlib.Path(name).expanduser() if local else epath.Path(name)
  for folder in (own, _SHIPPED / name):
    if (folder / WEIGHTS).exists():
      return folder
  return None


def is_shipped(folder: pathlib.Path | epath.Path) -> bool:
  """Returns whether a folder that was found is one of the package."""
  return pathlib.Path(folder).parent == _SHIPPED


def write(
  folder: epath.PathLike, variables: dict[str, Any], described: dict[str, Any]
) -> None:
  """Writes the weights and the config.

  The config comes last, and a former one goes first: where it is, it is that of
  the weights, whatever has happened meanwhile.
  """
  from pattlite_jax.weights import safetensors_io

  folder = epath.Path(folder).expanduser()
  folder.mkdir(parents=True, exist_ok=True)
  (folder / CONFIG).unlink(missing_ok=True)
  durable.sync_names(folder / CONFIG)
  safetensors_io.save_variables(folder / WEIGHTS, variables, {"format": "flax"})
  durable.write_text(folder / CONFIG, json.dumps(described, indent=1) + "\n")


def read(
  folder: pathlib.Path | epath.Path,
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Returns (variables, what config.json holds).

  Raises:
    MissingFileError: if one of the files is missing.
    UserError: if one is broken.
  """
  # Not at the top: it needs Flax, which takes longer to import than
  # onnxruntime needs to find the faces of a photograph.
  from pattlite_jax.weights import safetensors_io

  described = read_config(folder)
  return safetensors_io.load_variables(folder / WEIGHTS), described


def read_config(folder: pathlib.Path | epath.Path) -> Any:
  """Returns what config.json holds.

  Raises:
    MissingFileError: if it is missing.
    UserError: if it is broken.
  """
  path = folder / CONFIG
  if not file_kinds.is_plain(path):
    raise MissingFileError(f"{folder} has {WEIGHTS}, but no {CONFIG}.")
  if file_kinds.of(path) == "LFS pointer":
    raise UserError(str(file_kinds.advice(path)))
  return json_file.read(path)
