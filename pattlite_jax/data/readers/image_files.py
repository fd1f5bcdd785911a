"""What data sets share whose faces are image files."""

import abc
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from jaxtyping import UInt8

from pattlite_jax.data import decoding, user_files
from pattlite_jax.data.readers import builder, image_file
from pattlite_jax.data.readers.held_out import held_out

_JPEG = b"\xff\xd8\xff"  # How a JPEG begins.


class Entry(NamedTuple):
  """One face, before its file is read."""

  path: user_files.Path
  label: int
  id: str
  # Top, left, bottom and right of the face in the picture; None: all of it.
  box: tuple[int, int, int, int] | None = None


Splits = dict[str, list[Entry]]


class ImageFiles(builder.FaceBuilder, skip_registration=True):
  """A data set of image files: subclasses write `entries`."""

  @classmethod
  @abc.abstractmethod
  def entries(cls, data_dir: user_files.Path) -> Splits:
    """Returns the faces of each split, in their order.

    Raises:
      MissingFileError: if they are not there; says where to get them.
    """

  @classmethod
  def lists(cls, data_dir: user_files.Path) -> list[user_files.Path]:
    """Returns the files that are read beside the images, such as labels."""
    return []

  @classmethod
  def source_files(cls, data_dir: user_files.Path) -> list[user_files.Path]:
    """Returns the images, each once, and the lists that describe them."""
    entries = [e for split in cls.entries(data_dir).values() for e in split]
    return [*cls.lists(data_dir), *dict.fromkeys(e.path for e in entries)]

  def faces(
    self, data_dir: user_files.Path
  ) -> dict[str, Iterable[builder.Face]]:
    """Returns the faces of each split, read as they are asked for."""
    return {
      split: self.read_faces(split, own, self._face)
      for split, own in self.entries(data_dir).items()
    }

  def _face(self, entry: Entry) -> builder.Face:
    image = whole = self.read(entry)
    if self.ANY_SIZE:
      # As `predict` does, so that a network sees both in the same way.
      image = shrunk(image_file.filled(image, 1, 1), self.image_size)
    is_whole = image is whole and not entry.box
    jpeg = jpeg_of(entry.path, image) if is_whole else None
    return builder.Face(image, entry.label, entry.id, jpeg=jpeg)

  @classmethod
  def read(cls, entry: Entry) -> UInt8[np.ndarray, "H W C"]:
    """Returns the pixels of a face, of the size of the set if it has one.

    Raises:
      UserError: if the file is broken or of another size; names it.
    """
    height, width, channels = cls.IMAGE_SHAPE
    image = image_file.read_image(entry.path, channels=channels)
    if entry.box:
      image = cropped(image, entry.box)
    if height and width:
      builder.check_shape(image, (height, width, channels), entry.path)
    return image


def without_validation(
  train: list[Entry], names: Mapping[str, str] | None = None
) -> Splits:
  """Returns train and validation: a tenth that the published rule holds out.

  `names` are those that the rule sees, by id; default: the ids.
  """
  name_of = {entry.id: entry.id for entry in train} | dict(names or {})
  chosen = held_out({name_of[entry.id]: entry.label for entry in train})
  return {
    "train": [e for e in train if name_of[e.id] not in chosen],
    "validation": [e for e in train if name_of[e.id] in chosen],
  }


def jpeg_of(
  path: user_files.Path, image: UInt8[np.ndarray, "H W C"]
) -> bytes | None:
  """Returns a file if it is a JPEG, and is read as this image as it stands.

  Not so one that EXIF turns, or that is in CMYK.
  """
  with user_files.open_bytes(path) as file:
    if file.read(3) != _JPEG:
      return None
    file.seek(0)
    content = file.read()
  try:
    pixels = decoding.pixels_of(content, image.shape[2]).numpy()
  except tf.errors.InvalidArgumentError:  # Pillow reads more kinds of JPEG.
    return None
  return content if np.array_equal(pixels, image) else None


def cropped(
  image: UInt8[np.ndarray, "H W C"], box: tuple[int, int, int, int]
) -> UInt8[np.ndarray, "h w C"]:
  """Returns what a box holds of a picture; all of it, if that is nothing."""
  top, left, bottom, right = box
  found = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
  return found if found.size else image


def shrunk(
  image: UInt8[np.ndarray, "H W C"], size: int
) -> UInt8[np.ndarray, "h w C"]:
  """Returns a square picture, averaged to `size` pixels a side if larger."""
  if min(image.shape[:2]) <= size:
    return image
  return image_file.resized(image, size, size)
