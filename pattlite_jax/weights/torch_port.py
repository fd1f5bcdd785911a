"""Reads the trunks of PyTorch: torchvision's ResNets and face.evoLVe's IR-50.

Files are state dicts, of the trunk alone or of the whole classifier:
.safetensors, or .pth and .pt through torch.load(weights_only=True), which runs
no code of the file.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from etils import epath
from flax import traverse_util

from pattlite_jax.runtime.errors import MissingFileError, UserError

# What whole classifiers have beyond the trunk; PyTorch's counters of batches.
_BEYOND = {
  "resnet18": r"fc\.|.*num_batches_tracked$",
  "resnet50": r"fc\.|.*num_batches_tracked$",
  "ir50": r"output_layer\.|body\.2[123]\.|.*num_batches_tracked$",
}
_LEAVES = {
  "kernel": "weight",
  "scale": "weight",
  "slope": "weight",
  "bias": "bias",
  "mean": "running_mean",
  "var": "running_var",
}
_IR50_INPUT = {
  "input_conv": "input_layer.0",
  "input_conv_bn": "input_layer.1",
  "input_prelu": "input_layer.2",
}
_IR50_UNIT = {
  "pre_bn": "res_layer.0",
  "conv1": "res_layer.1",
  "prelu": "res_layer.2",
  "conv2": "res_layer.3",
  "conv2_bn": "res_layer.4",
  "shortcut": "shortcut_layer.0",
  "shortcut_bn": "shortcut_layer.1",
}
_FEW = 4


def load(
  path: epath.PathLike, trunk: str, shapes: Mapping[str, Any]
) -> dict[str, Any]:
  """Returns a trunk's variables, f32, from a file; `trunk` as in the config.

  `shapes` are the trunk's variables as shapes. Every tensor of the file is used
  once.

  Raises:
    MissingFileError: if there is no such file.
    UserError: if it is no state dict, or that of another network; the text
      names tensors that are missing, left over, of another shape or not finite.
  """
  path = require(path)
  try:
    return convert(read(path), trunk, shapes)
  except UserError as error:
    raise UserError(
      f"{path} does not hold the weights of {trunk}: {error} It must be the "
      f"state dict of {_network(trunk)}."
    ) from error


def require(path: epath.PathLike) -> epath.Path:
  """Returns the path of a file; raises MissingFileError if it is none."""
  path = epath.Path(path).expanduser()
  if not path.is_file():
    raise MissingFileError(f"No weights file at {path}.")
  return path


def _network(trunk: str) -> str:
  return "face.evoLVe's IR-50" if trunk == "ir50" else f"torchvision's {trunk}"


def read(path: epath.Path) -> dict[str, np.ndarray]:
  """Returns the tensors of a file by their names."""
  if path.suffix == ".safetensors":
    try:
      return safetensors.numpy.load(path.read_bytes())
    except (safetensors.SafetensorError, LookupError, TypeError) as error:
      raise UserError(
        f"it is no complete safetensors file ({error})."
      ) from error
  if path.suffix not in (".pth", ".pt"):
    raise UserError(
      f"its name ends in {path.suffix!r}, not in .safetensors, .pth or .pt."
    )
  try:
    import torch
  except ModuleNotFoundError as error:
    raise UserError(
      f"{path.suffix} files need PyTorch, which is not installed: pip install "
      "torch, or save the tensors as .safetensors."
    ) from error
  try:
    found = torch.load(str(path), map_location="cpu", weights_only=True)
  except Exception as error:  # Zip, pickle and torch raise any kind.
    reason = str(error).split("\n")[0]
    raise UserError(
      f"PyTorch cannot read it as plain tensors ({reason})."
    ) from error
  return _arrays(found)


def _arrays(found: Any) -> dict[str, np.ndarray]:
  """Returns the arrays of what torch.load has read."""
  if isinstance(found, Mapping) and isinstance(
    found.get("state_dict"), Mapping
  ):
    found = found["state_dict"]
  if not isinstance(found, Mapping) or not all(
    hasattr(tensor, "detach") for tensor in found.values()
  ):
    raise UserError("it has more than a dict of tensors.")
  return {
    name: tensor.detach().float().numpy() for name, tensor in found.items()
  }


def convert(
  tensors: Mapping[str, np.ndarray], trunk: str, shapes: Mapping[str, Any]
) -> dict[str, Any]:
  """Returns the variables of `shapes` out of PyTorch's tensors, each once."""
  beyond = re.compile(_BEYOND[trunk])
  # DataParallel puts a word before each name.
  left = {k.removeprefix("module."): v for k, v in tensors.items()}
  left = {k: v for k, v in left.items() if not beyond.match(k)}
  variables, missing, wrong = {}, [], []
  flat: Any = traverse_util.flatten_dict(shapes)
  for (kind, layer, leaf), wanted in flat.items():
    name = f"{_RULES[trunk](layer)}.{_LEAVES[leaf]}"
    if name not in left:
      missing.append(name)
      continue
    tensor = left.pop(name)
    array = tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor
    if array.shape != wanted.shape:
      there = wanted.shape
      if len(there) == 4:
        there = tuple(there[axis] for axis in (3, 2, 0, 1))
      wrong.append(f"{name} {list(tensor.shape)} instead of {list(there)}")
    elif array.dtype.kind != "f" or not np.isfinite(array).all():
      wrong.append(f"{name} with other values than finite floats")
    variables[kind, layer, leaf] = array.astype(np.float32)
  _check({"it lacks": missing, "it has": wrong, "left over are": list(left)})
  return traverse_util.unflatten_dict(variables)


def _check(problems: dict[str, list[str]]) -> None:
  """Raises UserError if there are any, naming the first few of each kind."""
  parts = []
  for what, names in problems.items():
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    if names:
      parts.append(f"{what} {', '.join(names[:_FEW])}{more}")
  if parts:
    raise UserError(f"{'; '.join(parts)}.")


def _torchvision(layer: str) -> str:
  """Returns torchvision's name of a layer of `models.resnet`."""
  layer = re.sub(r"^layer(\d)_(\d+)_", r"layer\1.\2.", layer)
  layer = re.sub(r"downsample$", "downsample.0", layer)
  layer = re.sub(r"downsample_bn$", "downsample.1", layer)
  return re.sub(r"conv(\d)_bn$", r"bn\1", layer)


def _face_evolve(layer: str) -> str:
  """Returns face.evoLVe's name of a layer of `models.ir50`."""
  if layer in _IR50_INPUT:
    return _IR50_INPUT[layer]
  unit, part = layer.removeprefix("body").split("_", 1)
  return f"body.{unit}.{_IR50_UNIT[part]}"


_RULES: dict[str, Callable[[str], str]] = {
  "resnet18": _torchvision,
  "resnet50": _torchvision,
  "ir50": _face_evolve,
}
