"""What `export` writes: a file that was tried beside JAX first."""

import os
from typing import Any

from etils import epath

from pattlite_jax import trained
from pattlite_jax.data import user_files
from pattlite_jax.data.source import DataChoice
from pattlite_jax.export import check, metadata
from pattlite_jax.runtime import durable
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring.inputs import load_inputs, match_classes
from pattlite_jax.trained import Trained

# The precisions that each format can have, the default first.
FORMATS = {
  "onnx": ("float32", "float16", "int8"),
  "tflite": ("float32", "float16"),
  "stablehlo": ("float32",),
}


def export(
  name: epath.PathLike,
  file_format: str,
  out: epath.PathLike,
  *,
  precision: str,
  lowering: str,
  choice: DataChoice,
) -> dict[str, Any]:
  """Writes a network that `pattlite_jax.load` takes; returns its metadata.

  `choice` is read for int8 alone: its training faces calibrate, its validation
  faces judge.

  Raises:
    UserError: if the format cannot hold the network, or a file would give other
      probabilities than JAX; nothing is written then.
  """
  if precision not in FORMATS[file_format]:
    raise UserError(
      f"{file_format} files cannot be {precision}, but "
      f"{' or '.join(FORMATS[file_format])}.",
      setting="precision",
    )
  path = user_files.folder(os.fspath(out))
  network = trained.load(name, setting="model")
  faces = _faces(network, choice) if precision == "int8" else None
  content, said = content_of(
    network, file_format, precision=precision, lowering=lowering, faces=faces
  )
  path.parent.mkdir(parents=True, exist_ok=True)
  durable.write_bytes(path, content)
  return said


def content_of(
  network: Trained,
  file_format: str,
  *,
  precision: str = "float32",
  lowering: str = "auto",
  faces: Any = None,
) -> tuple[bytes, dict[str, Any]]:
  """Returns the bytes of a file that was tried, and its metadata.

  `faces` are an `int8.Faces`, for int8.

  Raises:
    UserError: as `export`.
  """
  if network.image_shape is None:
    raise UserError(
      "The checkpoint does not say what its training images looked like; write "
      "its folder with pattlite_jax.release, and export that.",
      setting="model",
    )
  network, more = check.in_float32(network), {}
  half = precision == "float16"
  if file_format == "onnx":
    from pattlite_jax.export import onnx_file as file_lib

    content = file_lib.content(network, float16=half)
    if precision == "int8":
      from pattlite_jax.export import int8

      content, more = int8.content(content, faces)
  elif file_format == "tflite":
    from pattlite_jax.export import tflite_file as file_lib

    content = file_lib.content(network, float16=half)
  else:
    from pattlite_jax.export import stablehlo_file as file_lib

    content, more = file_lib.content(network, lowering), {"lowering": lowering}
  difference = check.largest_difference(network, file_lib.opened(content))
  check.require_small(difference, precision)
  said = metadata.of(network, precision, difference, **more)
  return _said_in(file_format, content, said), said


def _said_in(file_format: str, content: bytes, said: dict[str, Any]) -> bytes:
  """Returns the file with its metadata in it."""
  if file_format == "onnx":
    from pattlite_jax.export import onnx_file

    return onnx_file.with_metadata(content, said)
  return metadata.append(content, said)


def _faces(network: Trained, choice: DataChoice) -> Any:
  """Returns the faces of int8, as an `int8.Faces`."""
  from pattlite_jax.export import int8

  splits = [
    match_classes(
      load_inputs(network, choice, split=split, challenge_lists=None).examples,
      network.class_names,
    )
    for split in ("train", "validation")
  ]
  return int8.Faces(*splits)
