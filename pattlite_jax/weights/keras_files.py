"""Reads the arrays in the weights files of Keras 3 and of tf.keras.

Only arrays are read: no code, configuration or pickle in a file is run, and
what would fill the memory when unpacked is refused by its declared size.
"""

import contextlib
import io
import math
import textwrap
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from etils import epath

from pattlite_jax.models.mobilenet_v1_layers import LAYERS
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.weights.hdf5_strings import check_strings

# MobileNetV1 with its top has 90 layers of arrays, in 17 MB.
MAX_LAYERS = 1000
MAX_BYTES = 256_000_000
# Keras 3 names the groups of its files after the layers' classes, in order.
_KINDS = {
  "conv2d": ("conv3x3", "pointwise", "logits"),
  "depthwise_conv2d": ("depthwise",),
  "batch_normalization": ("bn",),
}


Layers = list[tuple[str, list[np.ndarray]]]
Stored = Iterator[tuple[str, list[h5py.Dataset]]]  # Not read yet.


def read_layers(path: epath.Path) -> dict[str, list[np.ndarray]]:
  """Returns the arrays (f32) of each layer of a MobileNetV1's file.

  Reads .weights.h5 and .keras of Keras 3, and .h5 of any Keras, with or without
  the model's configuration. Raises UserError for anything else.
  """
  with open_file(path) as (file, _):
    return dict(read_arrays(file, _layers(file)))


@contextlib.contextmanager
def open_file(
  path: epath.Path,
) -> Iterator[tuple[h5py.File, str | bytes | None]]:
  """Yields a file's arrays, and the JSON that describes its model if any.

  What goes wrong while reading becomes a UserError that names the file.
  """
  data = io.BytesIO(path.read_bytes())
  description = None
  try:
    if zipfile.is_zipfile(data):  # .keras
      with zipfile.ZipFile(data) as archive:
        data = io.BytesIO(_member(archive, "model.weights.h5"))
        description = _member(archive, "config.json")
    check_strings(data.getvalue())
    with h5py.File(data) as file:
      yield file, description or file.attrs.get("model_config")
  except Exception as error:  # Broken files make HDF5 and zip raise any kind.
    reason = textwrap.shorten(str(error), 300) or type(error).__name__
    raise UserError(
      f"{path} cannot be read as a Keras weights file, .h5 or .keras; it may "
      f"be incomplete: {reason}"
    ) from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
  # Unpacking stops at the declared size, so this is the true bound.
  size = archive.getinfo(name).file_size
  if size > MAX_BYTES:
    raise UserError(
      f"{name} in it has {size:,} bytes unpacked, at most {MAX_BYTES:,} are "
      "read"
    )
  return archive.read(name)


def _layers(file: h5py.File) -> Stored:
  if "model_weights" in file:  # .h5 with the model's configuration
    return _keras2_layers(file["model_weights"])
  if "layer_names" in file.attrs:
    return _keras2_layers(file)
  if isinstance(file.get("layers"), h5py.Group):
    return _keras3_layers(file["layers"])
  raise UserError(
    f"it holds {', '.join(file) or 'nothing'}, expected model_weights, layers "
    "or the attribute layer_names"
  )


def _keras2_layers(group: h5py.Group) -> Stored:
  for name in map(text, group.attrs["layer_names"]):
    keys = map(text, group[name].attrs["weight_names"])
    yield name, [group[name][key] for key in keys]


def _keras3_layers(group: h5py.Group) -> Stored:
  for key in group:
    arrays = group[key]["vars"]
    # Files of the first Keras 3 lack the attribute.
    name = text(arrays.attrs.get("name", name_of_group(key)))
    yield name, [arrays[str(i)] for i in range(len(arrays))]


def name_of_group(key: str) -> str:
  """conv2d -> conv1, conv2d_1 -> conv_pw_1, ...; other names are kept."""
  keras_class, _, index = key.rpartition("_")
  if not index.isdecimal():
    keras_class, index = key, "0"
  kinds = _KINDS.get(keras_class, ())
  names = [layer.name for layer in LAYERS if layer.kind in kinds]
  return names[int(index)] if int(index) < len(names) else key


def text(value: str | bytes) -> str:
  """Returns an attribute's text, whichever way HDF5 kept it."""
  return value.decode() if isinstance(value, bytes) else value


def read_arrays(file: h5py.File, stored: Stored) -> Layers:
  """Returns the arrays of the file's layers as f32.

  Raises UserError for what is no array of finite floats within the file, and
  for more than `MAX_LAYERS` or `MAX_BYTES`.
  """
  layers, num_bytes = [], 0
  for name, datasets in stored:
    num_bytes += 4 * sum(_size(file, data) for data in datasets)
    # Compressed, or linked time and again, little in the file can be a lot.
    if len(layers) == MAX_LAYERS or num_bytes > MAX_BYTES:
      raise UserError(
        f"it has more than {MAX_LAYERS} layers or {MAX_BYTES:,} bytes of arrays"
      )
    layers.append((name, [_read(data) for data in datasets]))
  return layers


def _size(file: h5py.File, data: Any) -> int:
  """Returns how many numbers an array has; UserError for anything else."""
  if not isinstance(data, h5py.Dataset) or data.dtype.kind != "f":
    raise UserError(f"{data.name} is not an array of floats")
  # A crafted file could pass off bytes of other local files as weights.
  if data.external or data.is_virtual or data.file != file:
    raise UserError(f"{data.name} lies outside the file")
  return math.prod(data.shape)


def _read(data: h5py.Dataset) -> np.ndarray:
  with np.errstate(over="ignore"):  # What f32 cannot hold becomes infinite.
    array = np.asarray(data, np.float32)
  if not np.isfinite(array).all():
    raise UserError(f"{data.name} holds numbers that are not finite")
  return array
