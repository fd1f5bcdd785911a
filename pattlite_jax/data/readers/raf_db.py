"""RAF-DB, the basic set: aligned 100 x 100 colour faces, 7 classes.

Class counts: counted in the official list_patition_label.txt.
"""

import pathlib
import re
import reprlib
from typing import ClassVar, NamedTuple

from pattlite_jax.data import user_files
from pattlite_jax.data.readers import (
  builder,
  image_files,
  listing,
  raf_db_folders,
)
from pattlite_jax.data.readers.held_out import held_out_size
from pattlite_jax.runtime.errors import UserError

SIZE = 100
LIST_NAME = "EmoLabel/list_patition_label.txt"  # Spelled so by the authors.
LINE = r"(?P<name>(?:train|test)_[0-9]{1,9}\.jpg) (?P<label>[1-7])"
TRAIN_COUNTS = (1290, 281, 717, 4772, 1982, 705, 2524)
TEST_COUNTS = (329, 74, 160, 1185, 478, 162, 680)
HOW_TO_GET = (
  "Ask the authors for RAF-DB (http://www.whdeng.cn/raf/model1.html) and "
  "unpack it, so that basic/EmoLabel and basic/Image/aligned are there."
)


class Entry(NamedTuple):
  """One line of the official list."""

  name: str  # Such as "train_00001.jpg".
  label: int  # 0 to 6; the list counts from 1.


class RafDb(image_files.ImageFiles, skip_registration=True):
  """RAF-DB; validation is a fixed tenth of the official training images."""

  CLASS_NAMES = (
    "surprise",
    "fear",
    "disgust",
    "happiness",
    "sadness",
    "anger",
    "neutral",
  )
  IMAGE_SHAPE = (SIZE, SIZE, 3)
  HOMEPAGE = "http://www.whdeng.cn/raf/model1.html"
  PUBLISHED_COUNTS: ClassVar[builder.Counts] = {
    "train": tuple(n - held_out_size(n) for n in TRAIN_COUNTS),
    "validation": tuple(held_out_size(n) for n in TRAIN_COUNTS),
    "test": TEST_COUNTS,
  }

  @classmethod
  def lists(cls, data_dir: user_files.Path) -> list[user_files.Path]:
    """Returns the official list, or those of the class folders."""
    root = listing.root(data_dir, _is_official)
    if root:
      return [root / LIST_NAME]
    return raf_db_folders.label_files(data_dir, _class_folders(data_dir))

  @classmethod
  def remarks(cls, data_dir: user_files.Path) -> list[str]:
    """Says what of the class folders is not read."""
    if listing.root(data_dir, _is_official):
      return []
    root = _class_folders(data_dir)
    return listing.unread(root, cls.source_files(data_dir))

  @classmethod
  def entries(cls, data_dir: user_files.Path) -> image_files.Splits:
    """Returns the faces of each split, in the order of the list."""
    root = listing.root(data_dir, _is_official)
    if root:
      listed = [
        raf_db_folders.Picture(*entry, _image_path(root, entry))
        for entry in read_list(root / LIST_NAME)
      ]
    else:
      listed = raf_db_folders.pictures(data_dir, _class_folders(data_dir))
    faces = {"train": [], "test": []}
    for name, label, path in listed:
      face_id = pathlib.PurePath(name).stem
      split = face_id.partition("_")[0]
      faces[split].append(image_files.Entry(path, label, face_id))
    names = {entry.id: f"{entry.id}.jpg" for entry in faces["train"]}
    return {
      **image_files.without_validation(faces["train"], names),
      "test": faces["test"],
    }


def read_list(path: user_files.Path) -> list[Entry]:
  """Reads the official list, lines such as "train_00001.jpg 5".

  Raises:
    UserError: for the first line that is broken or repeats a name; if there
      is none.
  """
  entries = {}
  text = user_files.read_text(path)
  for number, line in enumerate(text.splitlines(), start=1):
    if not line.strip():
      continue
    match = re.fullmatch(LINE, line.strip())
    place = f"{path}, line {number} is {reprlib.repr(line.strip())}"
    if not match:
      raise UserError(
        f"{place}, but must be like 'train_00001.jpg 5' or 'test_0001.jpg 3', "
        "with a label from 1 to 7."
      )
    if match["name"] in entries:
      raise UserError(f"{place}, but an earlier line names this image too.")
    entries[match["name"]] = int(match["label"]) - 1
  if not entries:
    raise UserError(f"{path} names no image. {HOW_TO_GET}")
  return [Entry(name, label) for name, label in entries.items()]


def _is_official(folder: user_files.Path) -> bool:
  """Whether a folder is like the authors' `basic`."""
  return (folder / LIST_NAME).is_file()


def _class_folders(data_dir: user_files.Path) -> user_files.Path:
  """Returns where the copy as class folders lies; raises if it does not."""
  root = raf_db_folders.find(data_dir)
  if root:
    return root
  raise builder.missing_set_error(
    "RAF-DB",
    data_dir,
    looked_for=f"{LIST_NAME}, or class folders train/1 to train/7",
    how_to_get=HOW_TO_GET,
  )


def _image_path(root: user_files.Path, entry: Entry) -> user_files.Path:
  stem = pathlib.PurePath(entry.name).stem
  path = root / "Image" / "aligned" / f"{stem}_aligned.jpg"
  if not path.is_file():
    raise builder.missing_files_error("RAF-DB image", path, HOW_TO_GET)
  return path
