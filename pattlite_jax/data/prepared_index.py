"""Where each image of a prepared split lies in its files, and what it is.

TFDS writes records to be read from first to last. This index is made in one
such pass and kept beside them: with it any image is read alone, and labels and
ids without any image.
"""

import dataclasses
import io
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
from absl import logging
from etils import epath
from jaxtyping import Bool, Float32, Int, UInt32

from pattlite_jax.data import prepared
from pattlite_jax.runtime import durable


@dataclasses.dataclass(frozen=True)
class Index:
  """The N images of a split, in F files of records."""

  folder: str  # Of the prepared copy; may be gs://...
  split: str
  files: np.ndarray  # str[F], their names.
  file_sizes: Int[np.ndarray, "F"]  # Bytes.
  file_number: Int[np.ndarray, "N"]  # An index into `files`.
  offset: Int[np.ndarray, "N"]  # Bytes before the image, a PNG or JPEG.
  length: Int[np.ndarray, "N"]  # Its bytes.
  crc: UInt32[np.ndarray, "N"]  # Their CRC-32.
  sizes: Int[np.ndarray, "N 2"]  # Height and width in pixels.
  coloured: Bool[np.ndarray, ""]  # Any of them; True if it is not asked.
  labels: Int[np.ndarray, "N"]
  ids: np.ndarray  # str[N]
  targets: Float32[np.ndarray, "N K"]  # K = 0 where the set has none.

  def __len__(self) -> int:
    return len(self.labels)


_ARRAYS = [f.name for f in dataclasses.fields(Index)][2:]


def open_or_make(builder: Any, split: str) -> Index:
  """Returns the index of a split; makes and keeps it the first time.

  Raises:
    ValueError and TensorFlow's errors: if records are damaged or missing.
  """
  folder = str(builder.data_path)
  index = _read(folder, split)
  if index is None:
    index = _made(builder, split)
    arrays = {name: getattr(index, name) for name in _ARRAYS}
    keep(f"{folder}/{split}.index.npz", arrays)
  for name, size in zip(index.files, index.file_sizes, strict=True):
    found = epath.Path(f"{folder}/{name}").stat().length
    if found != size:
      raise ValueError(f"{name} has {found:,} bytes, but had {size:,}")
  return index


def keep(path: str, arrays: dict[str, np.ndarray]) -> None:
  """Writes what took long to find out to a file, if that can be written."""
  file, named = io.BytesIO(), dict[str, Any](arrays)
  np.savez(file, **named)
  try:
    durable.write_bytes(path, file.getvalue())
  except OSError as error:
    logging.warning(
      "%s cannot be kept, so each start makes it: %s", path, error
    )


def kept(path: str) -> dict[str, np.ndarray] | None:
  """Returns what `keep` wrote; None where that is not there, or not whole."""
  try:
    content = epath.Path(path).read_bytes()
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
      return dict(arrays)
  except Exception:  # Whatever broken files make NumPy raise: it is made anew.
    return None


def _read(folder: str, split: str) -> Index | None:
  arrays = kept(f"{folder}/{split}.index.npz")
  if not arrays or set(arrays) != {*_ARRAYS}:
    return None
  index = Index(folder, split, **arrays)
  ends = index.offset + index.length
  fits = (index.length > 0) & (ends <= index.file_sizes[index.file_number])
  return index if fits.all() else None


def _made(builder: Any, split: str) -> Index:
  """Reads every record once; TensorFlow checks their bytes."""
  empty = split not in builder.info.splits  # TFDS cannot write such a split.
  paths = [] if empty else list(map(str, builder.info.splits[split].filepaths))
  rows, coloured = [], not builder.MAY_BE_GREY
  for number, path in enumerate(paths):
    prepared.require_whole(path)
    for row, picture in _rows(path, builder.HAS_TARGETS):
      rows.append((number, *row))
      coloured = coloured or _has_colour(picture)
  expected = 0 if empty else builder.info.splits[split].num_examples
  if len(rows) != expected:
    raise ValueError(f"{split} has {len(rows):,} records, not {expected:,}")
  columns = list(zip(*rows, strict=True)) or [()] * 9
  number, offset, length, crc, height, width, label, name, targets = columns
  num_shares = len(builder.CLASS_NAMES) if builder.HAS_TARGETS else 0
  return Index(
    str(builder.data_path),
    split,
    files=np.array([path.rpartition("/")[2] for path in paths], str),
    file_sizes=np.array([epath.Path(p).stat().length for p in paths], int),
    file_number=np.array(number, np.int32),
    offset=np.array(offset, np.int64),
    length=np.array(length, np.int64),
    crc=np.array(crc, np.uint32),
    sizes=np.stack([height, width], -1).astype(np.int32).reshape(-1, 2),
    coloured=np.array(coloured),
    labels=np.array(label, np.int64),
    ids=np.array(name, str),
    targets=np.array(targets, np.float32).reshape(len(rows), num_shares),
  )


def _rows(
  path: str, has_targets: bool
) -> Iterator[tuple[tuple, PIL.Image.Image]]:
  """Yields what the index holds of each record of a file, and its picture."""
  import tensorflow as tf

  place = 0
  for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
    fields = tf.train.Example.FromString(record).features.feature
    (image,) = fields["image"].bytes_list.value
    (label,) = fields["label"].int64_list.value
    (name,) = fields["id"].bytes_list.value
    targets = tuple(fields["targets"].float_list.value) if has_targets else ()
    with PIL.Image.open(io.BytesIO(image), formats=["PNG", "JPEG"]) as picture:
      yield (
        (
          place + prepared.HEADER + record.index(image),
          len(image),
          zlib.crc32(image),
          picture.height,
          picture.width,
          label,
          name.decode(),
          targets,
        ),
        picture,
      )
    place += prepared.HEADER + len(record) + prepared.FOOTER


def _has_colour(picture: PIL.Image.Image) -> bool:
  """Whether a picture has a pixel that is not grey."""
  if picture.mode == "L":
    return False
  pixels = np.asarray(picture.convert("RGB"))
  return bool((pixels != pixels[..., :1]).any())
