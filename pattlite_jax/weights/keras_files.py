"""Reads the arrays in the weights files of Keras 3 and of tf.keras.

Only arrays are read: no code, configuration or pickle in a file is run.
"""

import contextlib
import io
import zipfile
from collections.abc import Iterator

import h5py
import numpy as np
from etils import epath

from pattlite_jax.models.mobilenet_v1 import LAYERS

# Keras 3 names the groups of its files after the layers' classes, in order.
_KINDS = {
  "conv2d": ("conv3x3", "pointwise", "logits"),
  "depthwise_conv2d": ("depthwise",),
  "batch_normalization": ("bn",),
}


def read_layers(path: epath.Path) -> dict[str, list[np.ndarray]]:
  """Returns the arrays (f32) of each layer of a MobileNetV1's file.

  Reads .weights.h5 and .keras of Keras 3, and .h5 of any Keras, with or without
  the model's configuration. Raises ValueError for anything else.
  """
  with open_file(path) as (file, _):
    return dict(_layers(file))


@contextlib.contextmanager
def open_file(
  path: epath.Path,
) -> Iterator[tuple[h5py.File, str | bytes | None]]:
  """Yields a file's arrays, and the JSON that describes its model if any.

  What goes wrong while reading becomes a ValueError that names the file.
  """
  data = io.BytesIO(path.read_bytes())
  description = None
  try:
    if zipfile.is_zipfile(data):  # .keras
      with zipfile.ZipFile(data) as archive:
        data = io.BytesIO(archive.read("model.weights.h5"))
        description = archive.read("config.json")
    with h5py.File(data) as file:
      yield file, description or file.attrs.get("model_config")
  except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
    raise ValueError(
      f"{path} cannot be read as a Keras weights file, .h5 or .keras; it may "
      f"be incomplete: {error}"
    ) from error


def _layers(file: h5py.File) -> Iterator[tuple[str, list[np.ndarray]]]:
  if "model_weights" in file:  # .h5 with the model's configuration
    return _keras2_layers(file["model_weights"])
  if "layer_names" in file.attrs:
    return _keras2_layers(file)
  if isinstance(file.get("layers"), h5py.Group):
    return _keras3_layers(file["layers"])
  raise ValueError(
    f"it holds {', '.join(file) or 'nothing'}, expected model_weights, layers "
    "or the attribute layer_names"
  )


def _keras2_layers(
  group: h5py.Group,
) -> Iterator[tuple[str, list[np.ndarray]]]:
  for name in map(text, group.attrs["layer_names"]):
    keys = map(text, group[name].attrs["weight_names"])
    yield name, [read_array(group[name], key) for key in keys]


def _keras3_layers(
  group: h5py.Group,
) -> Iterator[tuple[str, list[np.ndarray]]]:
  for key in group:
    arrays = group[key]["vars"]
    # Files of the first Keras 3 lack the attribute.
    name = text(arrays.attrs.get("name", name_of_group(key)))
    yield name, [read_array(arrays, str(i)) for i in range(len(arrays))]


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


def read_array(group: h5py.Group, key: str) -> np.ndarray:
  """Returns an array of the file as f32; ValueError for anything else."""
  data = group[key]
  if not isinstance(data, h5py.Dataset) or data.dtype.kind != "f":
    raise ValueError(f"{data.name} is not an array of floats")
  # A crafted file could pass off bytes of other local files as weights.
  if data.external or data.is_virtual:
    raise ValueError(f"{data.name} lies outside the file")
  return np.asarray(data, np.float32)
