"""RAF-DB as class folders: train/1/train_00001_aligned.jpg ..., test/7/*.

Kaggle's copy, which has train_labels.csv and test_labels.csv beside them.
"""

import re
import reprlib
from collections.abc import Iterator
from typing import NamedTuple

from pattlite_jax.data import user_files
from pattlite_jax.data.readers import image_folder, listing
from pattlite_jax.data.readers.csv_rows import csv_rows
from pattlite_jax.runtime.errors import MissingFileError, UserError

SPLITS = ("train", "test")
_LABELS = tuple("1234567")
_NAME = re.compile(r"(?P<name>(?:train|test)_[0-9]{1,9})(?:_aligned)?")


class Picture(NamedTuple):
  """An image of the class folders."""

  name: str  # As the official list has it, such as "train_00001.jpg".
  label: int  # 0 to 6; the folders count from 1.
  path: user_files.Path


def find(data_dir: user_files.Path) -> user_files.Path | None:
  """Returns the folder that holds train/1 to train/7, here or one below."""
  return listing.root(data_dir, _is_root)


def _is_root(folder: user_files.Path) -> bool:
  train = listing.child(folder, ("train",))
  own = listing.folders(train) if train else []
  return bool(own) and all(path.name in _LABELS for path in own)


def label_files(
  data_dir: user_files.Path, root: user_files.Path
) -> list[user_files.Path]:
  """Returns train_labels.csv and test_labels.csv, where they are."""
  places = dict.fromkeys((root, data_dir))
  found = [
    listing.child(place, (f"{split}_labels.csv",))
    for split in SPLITS
    for place in places
  ]
  return [path for path in found if path]


def pictures(data_dir: user_files.Path, root: user_files.Path) -> list[Picture]:
  """Returns the images, in the order of the official list.

  Raises:
    UserError: if a name is not RAF-DB's, comes twice or stands in the wrong
      split, or a folder and a csv give an image different labels.
    MissingFileError: if the csv names an image that is not there.
  """
  found = {}
  for picture in _in_folders(root):
    if picture.name in found:
      raise UserError(
        f"{picture.path} and {found[picture.name].path} have the same name, "
        "and so are the same image; one of them must go.",
        setting="data.dir",
      )
    found[picture.name] = picture
  for path in label_files(data_dir, root):
    _compare(path, found)
  # As in the list: all of train, then all of test, each by its number.
  return sorted(found.values(), key=_number)


def _number(picture: Picture) -> tuple[bool, int]:
  split, _, number = picture.name.removesuffix(".jpg").partition("_")
  return split == "test", int(number)


def _in_folders(root: user_files.Path) -> Iterator[Picture]:
  for split in SPLITS:
    place = listing.child(root, (split,))
    for folder in listing.folders(place) if place else []:
      if folder.name not in _LABELS:
        raise UserError(
          f"{folder} is not a class of RAF-DB; the folders of {split}/ must be "
          "called 1 to 7."
        )
      for path in image_folder.images(folder):
        match = _NAME.fullmatch(path.stem)
        if not match or not path.stem.startswith(split):
          raise UserError(
            f"{path} must be named like {split}_00001_aligned.jpg. The data "
            "directory must hold the original images of RAF-DB.",
            setting="data.dir",
          )
        yield Picture(f"{match['name']}.jpg", int(folder.name) - 1, path)


def _compare(path: user_files.Path, found: dict[str, Picture]) -> None:
  """Raises an error unless a csv says of its images what their folders say."""
  for line, (image, label) in csv_rows(path, ("image", "label")):
    match = _NAME.fullmatch(image.rpartition(".")[0])
    where = f"{path}, line {line}"
    if not match or label not in _LABELS:
      raise UserError(
        f"{where} has {reprlib.repr(image)} and {reprlib.repr(label)}, but "
        "must have a name like train_00001_aligned.jpg and a label from 1 to 7."
      )
    picture = found.get(f"{match['name']}.jpg")
    if not picture:
      raise MissingFileError(
        f"{where} names {image}, which is in none of the class folders. "
        "Unpack the copy again.",
        setting="data.dir",
      )
    if picture.label != int(label) - 1:
      raise UserError(
        f"{where} gives {image} the label {label}, but it lies in the folder "
        f"{picture.path.parent.name}; one of them must be changed."
      )
