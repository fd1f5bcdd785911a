"""A data set in one file, for machines without TensorFlow; `pack` writes it.

An .npz of plain arrays: the images, lossless as PNG mosaics (FER2013 takes
55 MB), labels, ids and class names, and targets where the set has votes.
"""

import contextlib
import io
import math
import textwrap
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
from etils import epath
from jaxtyping import UInt8

from pattlite_jax.data import examples_check, user_files
from pattlite_jax.data.examples import Examples
from pattlite_jax.runtime import durable
from pattlite_jax.runtime.errors import MissingFileError, UserError

_PER_MOSAIC = 4096  # Images, or fewer where they are large.
_MOSAIC_PIXELS = 2**26  # Pillow warns of pictures that are larger.
_PER_ROW = 64
# Photographs shrink to half in a PNG, drawings to a tenth; this is the most
# that a file may unpack to, in bytes and as a multiple of its own size.
_ALWAYS_UNPACKED, _UNPACKED_RATIO = 64_000_000, 50


def write(path: epath.PathLike, name: str, splits: dict[str, Examples]) -> None:
  """Writes all splits of the data set `name` to a file."""
  arrays: dict[str, Any] = {"name": name, "splits": list(splits)}
  for key, split in splits.items():
    arrays |= {
      f"{key}/shape": split.images.shape,
      f"{key}/labels": split.labels,
      f"{key}/ids": split.ids.astype(str),
      f"{key}/class_names": list(split.class_names),
    }
    if split.targets is not None:
      arrays[f"{key}/targets"] = split.targets
    per_mosaic = _per_mosaic(split.images.shape)
    for first in range(0, len(split), per_mosaic):
      part = split.images[first : first + per_mosaic]
      arrays[f"{key}/png/{first}"] = _to_png(part)
  file = io.BytesIO()
  np.savez_compressed(file, **arrays)
  durable.write_bytes(user_files.folder(str(path)), file.getvalue())


def read(
  path: epath.PathLike, name: str, *, soft_targets: bool
) -> dict[str, Examples]:
  """Returns the splits of the data set `name`; targets if they are asked for.

  Raises:
    MissingFileError: if there is no file.
    UserError: if it is another file or of another set, has no targets, or
      holds what no data set can be.
  """
  with _opened(path) as arrays:
    packed_name = _text(arrays, "name")
    if packed_name != name:
      raise UserError(
        f"The packed file {path} holds {packed_name}, but {name} is asked for; "
        "choose the file of that set.",
        setting="data.packed",
      )
    names = _texts(arrays, "splits")
    if len(set(names)) < len(names):
      raise ValueError(f"its splits are {', '.join(names)}, one of them twice")
    if soft_targets and f"{names[0]}/targets" not in arrays:
      raise UserError(
        f"The packed file {path} holds {name}, which has no votes; turn soft "
        "targets off, or choose a set with votes.",
        setting="data.soft_targets",
      )
    where = f"The packed file {path}"
    splits = {
      split: _read_split(arrays, split, f"{where}, {split}:", soft_targets)
      for split in names
    }
    examples_check.check_alike(splits, where)
    return splits


def name_in(path: epath.PathLike) -> str:
  """Returns the name of the data set in a file; raises as `read`."""
  with _opened(path) as arrays:
    return _text(arrays, "name")


def _text(arrays: Any, key: str) -> str:
  return str(arrays[key].astype(str).reshape(()))


def _texts(arrays: Any, key: str) -> list[str]:
  array = arrays[key]
  if array.ndim != 1 or array.dtype.kind != "U" or not array.size:
    raise ValueError(f"{key} is {array.dtype}{list(array.shape)}, no texts")
  return array.tolist()


def _require_bounded(file: Any) -> int:
  """Returns how many bytes a file may unpack to; ValueError if it is more."""
  size = file.seek(0, io.SEEK_END)
  most = _ALWAYS_UNPACKED + _UNPACKED_RATIO * size
  with zipfile.ZipFile(file) as archive:
    unpacked = sum(entry.file_size for entry in archive.infolist())
  if unpacked > most:
    raise ValueError(
      f"its {size:,} bytes unpack to {unpacked:,}, at most {most:,} are read"
    )
  return most


class _Bounded:
  """The arrays of a file, and how many bytes of images it may unpack to."""

  def __init__(self, arrays: Any, most: int):
    self._arrays, self._left = arrays, most

  def __getitem__(self, key: str) -> np.ndarray:
    return self._arrays[key]

  def __contains__(self, key: str) -> bool:
    return key in self._arrays

  def take(self, num_bytes: int) -> None:
    """Raises ValueError if the images are more than the file can hold."""
    self._left -= num_bytes
    if self._left < 0:
      raise ValueError("its images have more pixels than its bytes can hold")


@contextlib.contextmanager
def _opened(path: epath.PathLike) -> Iterator[Any]:
  """Opens the arrays; what goes wrong while they are read names the file."""
  path = user_files.folder(str(path))
  if not path.is_file():
    raise MissingFileError(
      f"No packed data set at {path}; pattlite_jax.pack writes one.",
      setting="data.packed",
    )
  try:
    with user_files.open_bytes(path) as file:
      if not zipfile.is_zipfile(file):
        raise UserError(
          f"{path} is not a file of pattlite_jax.pack, or not all of it.",
          setting="data.packed",
        )
      most = _require_bounded(file)
      file.seek(0)
      with np.load(file, allow_pickle=False) as arrays:
        yield _Bounded(arrays, most)
  except UserError as error:
    error.setting = error.setting or "data.packed"
    raise
  except Exception as error:  # Broken files make zip and PIL raise any kind.
    reason = textwrap.shorten(str(error), 200) or type(error).__name__
    raise UserError(
      f"{path} is not a whole file of pattlite_jax.pack ({reason}).",
      setting="data.packed",
    ) from error


def _read_split(
  arrays: Any, name: str, where: str, soft_targets: bool
) -> Examples:
  given = arrays[f"{name}/shape"]
  if given.dtype.kind not in "iu":
    raise ValueError(f"{name}/shape is {given.dtype}, no whole numbers")
  shape = tuple(map(int, given))
  examples_check.check_shape(shape, where)
  arrays.take(math.prod(shape))
  images = np.zeros(shape, np.uint8)
  per_mosaic = _per_mosaic(shape)
  for first in range(0, len(images), per_mosaic):
    part = images[first : first + per_mosaic]
    part[...] = _from_png(arrays[f"{name}/png/{first}"], part.shape)
  found = examples_check.checked(
    images,
    arrays[f"{name}/labels"],
    arrays[f"{name}/ids"],
    _texts(arrays, f"{name}/class_names"),
    arrays[f"{name}/targets"] if soft_targets else None,
    where,
  )
  ids, counts = np.unique(found.ids, return_counts=True)
  if counts.max(initial=1) > 1:
    raise ValueError(f"{name} has the id {ids[counts.argmax()]!s} twice")
  return found


def _per_mosaic(shape: tuple[int, ...]) -> int:
  """Returns how many images of [N, H, W, C] come into one mosaic."""
  rows = _MOSAIC_PIXELS // (_PER_ROW * shape[1] * shape[2])
  return min(_PER_MOSAIC, max(1, rows) * _PER_ROW)


def _to_png(images: UInt8[np.ndarray, "N H W C"]) -> UInt8[np.ndarray, "bytes"]:
  """Returns a PNG of the images side by side, `_PER_ROW` in a row."""
  count, height, width, channels = images.shape
  rows = -(-count // _PER_ROW)
  tiles = np.zeros((rows * _PER_ROW, height, width, channels), np.uint8)
  tiles[:count] = images
  mosaic = tiles.reshape(rows, _PER_ROW, height, width, channels)
  mosaic = mosaic.swapaxes(1, 2).reshape(rows * height, -1, channels)
  picture = PIL.Image.fromarray(mosaic[..., 0] if channels == 1 else mosaic)
  file = io.BytesIO()
  picture.save(file, "png")
  return np.frombuffer(file.getvalue(), np.uint8)


def _from_png(
  png: UInt8[np.ndarray, "bytes"], shape: tuple[int, ...]
) -> UInt8[np.ndarray, "N H W C"]:
  """Undoes `_to_png` for images of a shape [N, H, W, C]."""
  count, height, width, channels = shape
  with PIL.Image.open(io.BytesIO(png.tobytes()), formats=["PNG"]) as picture:
    size = (_PER_ROW * width, -(-count // _PER_ROW) * height)
    if picture.size != size or picture.mode != {1: "L", 3: "RGB"}[channels]:
      raise ValueError(
        f"a mosaic is {picture.mode} of {picture.size}, not of {size}"
      )
    mosaic = np.asarray(picture)
  tiles = mosaic.reshape(-1, height, _PER_ROW, width, channels).swapaxes(1, 2)
  return tiles.reshape(-1, height, width, channels)[:count]
