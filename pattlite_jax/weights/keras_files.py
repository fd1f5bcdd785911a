"""Reads the arrays in the weights files of Keras 3 and of tf.keras.

Only arrays are read: no code, configuration or pickle in a file is run, and
what would fill the memory when unpacked is refused by its declared size. HDF5
itself may crash, or never end, on a crafted file, so that it runs in a process
of its own with limits (`keras_process`).
"""

import dataclasses
import io
import math
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from pattlite_jax.runtime.errors import UserError
from pattlite_jax.weights.hdf5_strings import check_strings

# MobileNetV1 with its top has 90 layers of arrays, in 17 MB.
MAX_LAYERS = 1000
MAX_BYTES = 256_000_000
MAX_DESCRIPTION = 10_000_000  # Bytes of JSON; MobileNetV1's has 60,000.
# The groups in which files of Keras 3, and .keras of tf.keras, have layers.
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


@dataclasses.dataclass(frozen=True)
class Stored:
  """The arrays of a layer (f32), and where they lie.

  `path` are the groups around them in a file of Keras 3, named after classes;
  in an .h5 the layer of the outer model, and the layer's own name.
  """

  path: tuple[str, ...]
  name: str  # The layer's; "" where the file does not say.
  arrays: list[np.ndarray]


@dataclasses.dataclass(frozen=True)
class KerasFile:
  """What a file holds."""

  description: str | None  # JSON of its model.
  by_class: bool  # Whether groups are named after classes (Keras 3).
  layers: list[Stored]


def parse(data: bytes, max_bytes: int = MAX_BYTES) -> KerasFile:
  """Returns what the bytes of a file hold.

  Reads .weights.h5 and .keras of Keras 3 and of TensorFlow 2.13, and .h5 of any
  Keras, with or without the model's configuration.

  Raises:
    UserError: for a file of another kind, for what is no array of finite floats
      within the file, and for more than `MAX_LAYERS` or `max_bytes`.
    Exception: of any kind, for a broken file.
  """
  description = None
  if zipfile.is_zipfile(io.BytesIO(data)):  # .keras
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
      data = _member(archive, "model.weights.h5", max_bytes)
      description = _member(archive, "config.json", MAX_DESCRIPTION).decode()
  check_strings(data)
  with h5py.File(io.BytesIO(data)) as file:
    if description is None and "model_config" in file.attrs:
      description = _text(file.attrs["model_config"])
    if description is not None and len(description) > MAX_DESCRIPTION:
      raise UserError(f"its model's JSON has {len(description):,} characters")
    by_class, groups = _layers(file)
    return KerasFile(description, by_class, _read_all(file, groups, max_bytes))


def _member(archive: zipfile.ZipFile, name: str, max_bytes: int) -> bytes:
  # Unpacking stops at the declared size, so this is the true bound.
  size = archive.getinfo(name).file_size
  if size > max_bytes:
    raise UserError(
      f"{name} in it has {size:,} bytes unpacked, at most {max_bytes:,} are "
      "read"
    )
  return archive.read(name)


# Path, name and arrays of a layer; arrays are not read yet.
_Groups = Iterator[tuple[tuple[str, ...], str, list[h5py.Dataset]]]


def _layers(file: h5py.File) -> tuple[bool, _Groups]:
  if "model_weights" in file:  # .h5 with the model's configuration
    return False, _legacy_layers(file["model_weights"])
  if "layer_names" in file.attrs:
    return False, _legacy_layers(file)
  if any(isinstance(file.get(name), h5py.Group) for name in _CONTAINERS):
    return True, _grouped_layers(file, (), set())
  raise UserError(
    f"it holds {', '.join(list(file)[:12]) or 'nothing'}, expected "
    "model_weights, layers or the attribute layer_names"
  )


def _legacy_layers(group: h5py.Group) -> _Groups:
  """Yields the layers of an .h5, those inside a nested model one by one."""
  for layer in map(_text, group.attrs["layer_names"]):
    owned: dict[str, list[h5py.Dataset]] = {}
    # A partly frozen model lists what trains first: join each layer's again.
    for key in map(_text, group[layer].attrs["weight_names"]):
      owner = (layer, *key.split("/"))[-2]
      owned.setdefault(owner, []).append(group[layer][key])
    yield from (((layer, own), own, arrays) for own, arrays in owned.items())


def _grouped_layers(
  parent: h5py.Group, path: tuple[str, ...], seen: set[h5py.Group]
) -> _Groups:
  """Yields the layers of a model and those of the models among them.

  `seen` are the groups read before: links could lead in a circle.
  """
  (container,) = (name for name in _CONTAINERS if name in parent)
  group = parent[container]
  if group in seen:
    raise UserError(f"{group.name} is there twice")
  seen.add(group)
  for key in group:
    layer = group[key]
    arrays = layer.get("vars", layer)
    # Files of the first Keras 3 lack the attribute.
    name = _text(arrays.attrs.get("name", ""))
    yield (
      (*path, key),
      name,
      [arrays[str(i)] for i in range(len(arrays))] if arrays != layer else [],
    )
    if any(name in layer for name in _CONTAINERS):
      yield from _grouped_layers(layer, (*path, key), seen)


def _text(value: str | bytes) -> str:
  """Returns an attribute's text, whichever way HDF5 kept it."""
  return value.decode() if isinstance(value, bytes) else value


def _read_all(file: h5py.File, groups: _Groups, max_bytes: int) -> list[Stored]:
  layers, num_bytes = [], 0
  for path, name, datasets in groups:
    num_bytes += 4 * sum(_size(file, data) for data in datasets)
    # Compressed, or linked time and again, little in the file can be a lot.
    if len(layers) == MAX_LAYERS or num_bytes > max_bytes:
      raise UserError(
        f"it has more than {MAX_LAYERS} layers or {max_bytes:,} bytes of arrays"
      )
    layers.append(Stored(path, name, [_read(data) for data in datasets]))
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
