"""RAF-DB, the basic set: aligned 100 x 100 colour faces, 7 classes.

Class counts: counted in the official list_patition_label.txt.
"""

import pathlib
import re
import reprlib
from collections.abc import Iterable, Iterator
from typing import ClassVar, NamedTuple

from pattlite_jax.data import user_files
from pattlite_jax.data.readers import builder
from pattlite_jax.data.readers.held_out import held_out, held_out_size
from pattlite_jax.data.readers.image_file import read_image
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


class RafDb(builder.FaceBuilder, skip_registration=True):
  """RAF-DB; validation is a fixed tenth of the official training images."""

  MANUAL_DOWNLOAD_INSTRUCTIONS = HOW_TO_GET
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
  def source_files(cls, data_dir: user_files.Path) -> list[user_files.Path]:
    """Returns the official list and the images that it names."""
    root = _root(data_dir)
    if not (root / LIST_NAME).is_file():
      raise builder.missing_files_error("RAF-DB", root / LIST_NAME, HOW_TO_GET)
    images = [_image_path(root, entry) for entry in read_list(root / LIST_NAME)]
    for path in images:
      if not path.is_file():
        raise builder.missing_files_error("RAF-DB image", path, HOW_TO_GET)
    return [root / LIST_NAME, *images]

  def faces(
    self, data_dir: user_files.Path
  ) -> dict[str, Iterable[builder.Face]]:
    """Returns the faces of each split, in the order of the list."""
    root = _root(data_dir)
    entries = read_list(root / LIST_NAME)
    train = [entry for entry in entries if entry.name.startswith("train_")]
    test = [entry for entry in entries if entry.name.startswith("test_")]
    chosen = held_out({entry.name: entry.label for entry in train})
    return {
      "train": _faces(root, [e for e in train if e.name not in chosen]),
      "validation": _faces(root, [e for e in train if e.name in chosen]),
      "test": _faces(root, test),
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


def _root(data_dir: user_files.Path) -> user_files.Path:
  """Returns the folder `basic`, which may be `data_dir` itself."""
  if (data_dir / "EmoLabel").is_dir():
    return data_dir
  return data_dir / "basic"


def _image_path(root: user_files.Path, entry: Entry) -> user_files.Path:
  stem = pathlib.PurePath(entry.name).stem
  return root / "Image" / "aligned" / f"{stem}_aligned.jpg"


def _faces(
  root: user_files.Path, entries: list[Entry]
) -> Iterator[builder.Face]:
  for entry in entries:
    path = _image_path(root, entry)
    image = read_image(path, channels=3)
    builder.check_shape(image, (SIZE, SIZE, 3), path)
    face_id = pathlib.PurePath(entry.name).stem
    yield builder.Face(image, entry.label, face_id)
