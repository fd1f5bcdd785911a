"""Variables as safetensors: flat keys like params/conv1/kernel, no pickles."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from etils import epath
from flax import traverse_util

from pattlite_jax.runtime import durable
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.weights import file_kinds

Variables = Mapping[str, Any]  # {"params": {...}, "batch_stats": {...}}
Path = str | os.PathLike[str]
MAX_BYTES = 1_000_000_000  # MobileNetV1 with its top has 17 million.


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
  path = epath.Path(path).expanduser()
  path.parent.mkdir(parents=True, exist_ok=True)
  durable.write_bytes(path, safetensors.numpy.save(arrays, dict(metadata)))


def load_variables(path: Path) -> dict[str, Any]:
  """Returns the tree of NumPy arrays that `save_variables` wrote to `path`.

  Raises MissingFileError, or UserError for a file of another kind, or with
  anything but finite float32.
  """
  path = epath.Path(path).expanduser()
  if not file_kinds.is_plain(path):
    raise MissingFileError(f"No weights file at {path}.")
  if file_kinds.of(path) not in (None, "safetensors"):
    raise UserError(str(file_kinds.advice(path)))
  size = path.stat().length
  if size > MAX_BYTES:
    raise UserError(
      f"{path} is not read: it has {size:,} bytes, at most {MAX_BYTES:,} are."
    )
  try:
    arrays = safetensors.numpy.load(path.read_bytes())
    # By name, as a after a/b would replace it unnoticed.
    arrays = dict(sorted(arrays.items()))
    variables = traverse_util.unflatten_dict(arrays, sep="/")
  except (
    safetensors.SafetensorError,
    LookupError,  # A dtype that NumPy lacks, or the names a and a/b.
    TypeError,
    ValueError,
  ) as error:
    raise UserError(
      f"{path} is not a complete safetensors file ({error})."
    ) from error
  require_weights(arrays, str(path))
  return variables


def require_weights(arrays: Mapping[str, Any], where: str) -> None:
  """Raises UserError unless all arrays are of finite float32.

  As JAX would compute with other numbers than those of another dtype.
  """
  for key, array in arrays.items():
    if array.dtype != np.float32 or not np.isfinite(array).all():
      raise UserError(
        f"{where}: {key} is {array.dtype}{list(array.shape)}, but must be of "
        "finite float32."
      )
