"""Variables as safetensors: flat keys like params/conv1/kernel, no pickles."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from etils import epath
from flax import traverse_util

Variables = Mapping[str, Any]  # {"params": {...}, "batch_stats": {...}}
Path = str | os.PathLike[str]


def save_variables(
  path: Path, variables: Variables, metadata: Mapping[str, str]
) -> None:
  """Writes the arrays of `variables`, and what `metadata` says of them."""
  # safetensors copies memory as it lies, whatever the strides; unlike
  # np.ascontiguousarray, order="C" leaves scalars without an axis.
  arrays = {
    key: np.asarray(value, order="C")
    for key, value in traverse_util.flatten_dict(variables, sep="/").items()
  }
  path = epath.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(safetensors.numpy.save(arrays, dict(metadata)))


def load_variables(path: Path) -> dict[str, Any]:
  """Returns the tree of NumPy arrays that `save_variables` wrote to `path`.

  Raises FileNotFoundError, or ValueError for a file of another kind.
  """
  path = epath.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f"No weights file at {path}.")
  try:
    arrays = safetensors.numpy.load(path.read_bytes())
  except safetensors.SafetensorError as error:
    raise ValueError(
      f"{path} is not a complete safetensors file ({error})."
    ) from error
  return traverse_util.unflatten_dict(arrays, sep="/")
