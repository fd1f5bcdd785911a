"""AffectNet's older form: csv lists, and images in which the face has a box."""

import reprlib
from collections.abc import Iterator

from pattlite_jax.data import user_files
from pattlite_jax.data.readers import image_files, listing
from pattlite_jax.data.readers.csv_rows import csv_rows
from pattlite_jax.data.readers.own_folders import inside
from pattlite_jax.runtime.errors import UserError

_LISTS = {"train": "training.csv", "test": "validation.csv"}
_BOX = ("face_x", "face_y", "face_width", "face_height")
_WITHOUT_LABEL = {"8", "9", "10"}  # None, uncertain, no face.
_LABELS = {"0", "1", "2", "3", "4", "5", "6", "7"}


def is_root(folder: user_files.Path) -> bool:
  """Whether a folder holds the lists, in the folder of lists or by itself."""
  return _list(folder, "train") is not None


def files(root: user_files.Path) -> list[user_files.Path]:
  """Returns the lists."""
  found = [_list(root, split) for split in _LISTS]
  return [path for path in found if path]


def entries(root: user_files.Path) -> image_files.Splits:
  """Returns the faces that the lists give one of the 8 labels.

  Raises:
    UserError: for the first row that is broken; names its line.
    MissingFileError: if an image is not there.
  """
  images = listing.child(root, ("Manually_Annotated_Images",))
  deeper = (
    listing.child(images, ("Manually_Annotated_Images",)) if images else None
  )
  splits = {}
  for split in _LISTS:
    path = _list(root, split)
    splits[split] = list(_rows(path, deeper or images or root)) if path else []
  return splits


def _list(root: user_files.Path, split: str) -> user_files.Path | None:
  places = [listing.child(root, ("Manually_Annotated_file_lists",)), root]
  for place in places:
    found = listing.child(place, (_LISTS[split],)) if place else None
    if found:
      with user_files.open_text(found) as file:
        if "subdirectory_filepath" in file.readline(1000).lower():
          return found
  return None


def _rows(
  path: user_files.Path, images: user_files.Path
) -> Iterator[image_files.Entry]:
  columns = ("subDirectory_filePath", "expression", *_BOX)
  for line, (name, label, *box) in csv_rows(path, columns):
    where = f"{path}, line {line}"
    if label in _WITHOUT_LABEL:
      continue
    if label not in _LABELS:
      raise UserError(
        f"{where}: expression is {reprlib.repr(label)}, but must be 0 to 10."
      )
    image = inside(images, name, where)
    yield image_files.Entry(image, int(label), name, _box(box, where))


def _box(fields: list[str], where: str) -> tuple[int, int, int, int]:
  """Returns top, left, bottom and right of a face."""
  try:
    x, y, width, height = (int(float(field)) for field in fields)
  except (OverflowError, ValueError) as error:
    raise UserError(
      f"{where}: the face's box is {reprlib.repr(fields)}, but must be four "
      "numbers."
    ) from error
  return y, x, y + height, x + width
