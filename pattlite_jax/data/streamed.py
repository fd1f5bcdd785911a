"""Images that stay in their prepared copy on disk until they are asked for."""

import concurrent.futures
import dataclasses
import hashlib
import os
import threading
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging
from etils import epath
from jaxtyping import Bool, Int, UInt8

from pattlite_jax.data import decoding, image_progress, prepared_index
from pattlite_jax.data.prepared_index import Index
from pattlite_jax.runtime import durable
from pattlite_jax.runtime.errors import FileError

_BLOCK = 1024  # Images that are decoded together, where many are asked for.
_REQUESTS = 32  # To a bucket at a time.


@dataclasses.dataclass(frozen=True, eq=False)
class StreamedImages:
  """Images u8[N, H, W, C] of one size, which `images[rows]` reads and decodes.

  As an array, it has a `shape`, and takes a number, a slice or an array of
  numbers of its first axis. `of_index` makes one.
  """

  dtype = np.dtype(np.uint8)
  ndim = 4

  index: Index
  files: "_Files"  # Those of the index, which views share.
  rows: Int[np.ndarray, "N"]  # Which images of the index.
  image_shape: tuple[int, int, int]  # Those of another size are resized.
  channels: int  # As decoded; 3 of grey pictures may be cut to 1.
  mirror: bool = False  # Whether left and right are exchanged.

  @property
  def shape(self) -> tuple[int, int, int, int]:
    """N, H, W, C."""
    return (len(self), *self.image_shape)

  @property
  def nbytes(self) -> int:
    """Bytes that the pixels take in memory."""
    return int(np.prod(self.shape, dtype=np.int64))

  def __len__(self) -> int:
    return len(self.rows)

  def take(
    self, indices: Int[np.ndarray, "M"], axis: int = 0
  ) -> "StreamedImages":
    """Returns the images at `indices`, none of them read."""
    assert axis == 0, axis
    return dataclasses.replace(self, rows=self.rows[indices])

  def mirrored(self) -> "StreamedImages":
    """Returns the same images with left and right exchanged."""
    return dataclasses.replace(self, mirror=not self.mirror)

  def __getitem__(
    self, key: int | np.integer | slice | np.ndarray
  ) -> UInt8[np.ndarray, "..."]:
    """Returns the pixels of some images; of one without the first axis.

    Raises:
      FileError: if the bytes of one have changed; names it.
    """
    if isinstance(key, (int, np.integer)):
      return self[np.array([key])][0]
    places = np.arange(len(self))[key]
    pixels = np.empty((len(places), *self.shape[1:]), np.uint8)
    decode = decoding.decoder(self.image_shape, self.channels, self.mirror)
    for first in range(0, len(places), _BLOCK):
      block = self.encoded(places[first : first + _BLOCK])
      pixels[first : first + _BLOCK] = decode(block).numpy()
    return pixels

  def encoded(self, places: Int[np.ndarray, "b"]) -> np.ndarray:
    """Returns the files of some images, PNG or JPEG, as object[b] of bytes.

    Raises:
      FileError: as `__getitem__`.
    """
    rows = self.rows[places]
    contents = np.empty(len(rows), object)
    contents[:] = self.files.read(rows)
    for row, content in zip(rows, contents, strict=True):
      if zlib.crc32(content) != self.index.crc[row]:
        raise self._damaged(row)
    return contents

  def decode(self, encoded: Any) -> Any:
    """Returns the pixels u8[b, H, W, C] of a tensor of what `encoded` returns.

    May be part of a graph of TensorFlow.
    """
    return decoding.decode(
      encoded, self.image_shape, self.channels, self.mirror
    )

  def sound(self) -> Bool[np.ndarray, "N"]:
    """Reads all files; returns which hold the bytes that they held."""
    found = np.zeros(len(self), bool)
    for first in range(0, len(self), _BLOCK):
      rows = self.rows[first : first + _BLOCK]
      found[first : first + _BLOCK] = [
        zlib.crc32(content) == self.index.crc[row]
        for row, content in zip(rows, self.files.read(rows), strict=True)
      ]
    return found

  def digests(self) -> UInt8[np.ndarray, "N 32"]:
    """Returns the SHA-256 of each image's pixels.

    The images are read for it once; it is kept beside the prepared copy.

    Raises:
      FileError: as `__getitem__`.
    """
    assert not self.mirror, "Nobody asks it of mirrored images."
    size = "x".join(map(str, self.image_shape))
    path = f"{self.index.folder}/{self.index.split}.digests-{size}.npz"
    known = self._known_digests(path)
    # What is all 0 is not known yet.
    missing = self.rows[~known[self.rows].any(axis=1)]
    if len(missing):
      logging.info("Reading %d images once, for their digests.", len(missing))
      known[missing] = _of_pixels(dataclasses.replace(self, rows=missing))
      kept = {"digests": known, "of_files": self._of_files}
      prepared_index.keep(path, kept)
    return known[self.rows]

  @property
  def _of_files(self) -> np.ndarray:
    return np.array(zlib.crc32(self.index.crc.tobytes()))

  def _known_digests(self, path: str) -> UInt8[np.ndarray, "M 32"]:
    """Returns the digests of all images of the index; 0 where not known."""
    none = np.zeros((len(self.index), 32), np.uint8)
    kept = prepared_index.kept(path) or {}
    known = kept.get("digests", none)
    is_ours = kept.get("of_files") == self._of_files
    return known if is_ours and known.shape == none.shape else none

  def _damaged(self, row: np.integer) -> FileError:
    index = self.index
    return FileError(
      f"The picture {index.ids[row]} is damaged in the prepared copy "
      f"{index.folder} ({index.files[index.file_number[row]]}, byte "
      f"{index.offset[row]:,}). Delete that folder, and the next start makes "
      "it again; or leave damaged pictures out.",
      setting="data.on_bad_image",
    )


def of_index(
  index: Index, image_shape: tuple[int, int, int], *, channels: int
) -> StreamedImages:
  """Returns all images of an index."""
  rows = np.arange(len(index))
  return StreamedImages(index, _Files(index), rows, image_shape, channels)


def digests(
  images: UInt8[np.ndarray, "N H W C"] | StreamedImages,
) -> UInt8[np.ndarray, "N 32"]:
  """Returns the SHA-256 of each image's pixels, in memory or on disk."""
  if isinstance(images, StreamedImages):
    return images.digests()
  return _of_pixels(images)


def _of_pixels(
  images: UInt8[np.ndarray, "N H W C"] | StreamedImages,
) -> UInt8[np.ndarray, "N 32"]:
  found = np.zeros((len(images), 32), np.uint8)
  blocks = range(0, len(images), _BLOCK)
  for first in image_progress.shown(blocks, "read", len(images), _BLOCK):
    for place, image in enumerate(images[first : first + _BLOCK], first):
      digest = hashlib.sha256(image.tobytes()).digest()
      found[place] = np.frombuffer(digest, np.uint8)
  return found


class _Files:
  """The files of an index, each opened once where they are local."""

  def __init__(self, index: Index):
    self._index = index
    self._paths = [f"{index.folder}/{name}" for name in index.files]
    self._opened: dict[int, int] = {}
    self._lock = threading.Lock()

  def read(self, rows: Int[np.ndarray, "b"]) -> Sequence[bytes]:
    """Returns the bytes of some images; fewer, where a file is shorter now."""
    if durable.is_local(self._index.folder):
      return [self._read_local(row) for row in rows.tolist()]
    with concurrent.futures.ThreadPoolExecutor(_REQUESTS) as pool:
      return list(pool.map(self._read_remote, rows.tolist()))

  def _read_local(self, row: int) -> bytes:
    index, number = self._index, int(self._index.file_number[row])
    with self._lock:
      if number not in self._opened:
        self._opened[number] = os.open(self._paths[number], os.O_RDONLY)
    return os.pread(
      self._opened[number], int(index.length[row]), int(index.offset[row])
    )

  def _read_remote(self, row: int) -> bytes:
    path = self._paths[self._index.file_number[row]]
    with epath.Path(path).open("rb") as file:
      file.seek(int(self._index.offset[row]))
      return file.read(int(self._index.length[row]))

  def __del__(self):
    for file in self._opened.values():
      os.close(file)
