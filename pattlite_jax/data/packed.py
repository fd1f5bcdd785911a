"""A data set in one file, for machines without TensorFlow; `pack` writes it.

An .npz of plain arrays: the images, lossless as PNG mosaics (FER2013 takes
55 MB), labels, ids and class names, and targets where the set has votes.
"""

import contextlib
import io
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
from etils import epath
from jaxtyping import UInt8

from pattlite_jax.data import user_files
from pattlite_jax.data.examples import Examples
from pattlite_jax.runtime import durable
from pattlite_jax.runtime.errors import MissingFileError, UserError

_BROKEN = (EOFError, LookupError, OSError, ValueError, zipfile.BadZipFile)
_PER_MOSAIC = 4096  # Images; Pillow warns of pictures that are much larger.
_PER_ROW = 64


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
    for first in range(0, len(split), _PER_MOSAIC):
      part = split.images[first : first + _PER_MOSAIC]
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
    UserError: if it is another file or of another set, or has no targets.
  """
  with _opened(path) as arrays:
    packed_name = arrays["name"].item()
    if packed_name != name:
      raise UserError(
        f"The packed file {path} holds {packed_name}, but {name} is asked for; "
        "choose the file of that set.",
        setting="data.packed",
      )
    names = arrays["splits"].tolist()
    if soft_targets and f"{names[0]}/targets" not in arrays:
      raise UserError(
        f"The packed file {path} holds {name}, which has no votes; turn soft "
        "targets off, or choose a set with votes.",
        setting="data.soft_targets",
      )
    return {split: _read_split(arrays, split, soft_targets) for split in names}


def name_in(path: epath.PathLike) -> str:
  """Returns the name of the data set in a file; raises as `read`."""
  with _opened(path) as arrays:
    return arrays["name"].item()


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
      file.seek(0)
      with np.load(file, allow_pickle=False) as arrays:
        yield arrays
  except UserError:
    raise
  except _BROKEN as error:
    raise UserError(
      f"{path} is not a whole file of pattlite_jax.pack ({error}).",
      setting="data.packed",
    ) from error


def _read_split(arrays: Any, name: str, soft_targets: bool) -> Examples:
  shape = tuple(arrays[f"{name}/shape"].tolist())
  images = np.zeros(shape, np.uint8)
  for first in range(0, len(images), _PER_MOSAIC):
    part = images[first : first + _PER_MOSAIC]
    part[...] = _from_png(arrays[f"{name}/png/{first}"], part.shape)
  return Examples(
    images,
    arrays[f"{name}/labels"],
    arrays[f"{name}/ids"],
    tuple(arrays[f"{name}/class_names"].tolist()),
    arrays[f"{name}/targets"] if soft_targets else None,
  )


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
    mosaic = np.asarray(picture)
  tiles = mosaic.reshape(-1, height, _PER_ROW, width, channels).swapaxes(1, 2)
  return tiles.reshape(-1, height, width, channels)[:count]
