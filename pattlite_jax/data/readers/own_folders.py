"""Finds the images of a user's own folders, with their classes and groups.

One of three layouts: train/<class>/* with validation/ and test/; a labels.csv
of path, label, split and group; or one folder of classes. docs/own_data.md.
"""

import reprlib
from typing import NamedTuple

from pattlite_jax.data import class_names, user_files
from pattlite_jax.data.readers import image_folder, listing
from pattlite_jax.data.readers.csv_rows import csv_rows
from pattlite_jax.runtime.errors import MissingFileError, UserError

LABELS, GROUPS = "labels.csv", "groups.csv"
_DIGITS_OF_A_DATE = 6  # Or more.
SPLIT_NAMES = {
  "train": "train",
  "training": "train",
  "validation": "validation",
  "valid": "validation",
  "val": "validation",
  "dev": "validation",
  "test": "test",
  "testing": "test",
}
HOW_TO = (
  "Put the images into <folder>/train/<class>/ (and validation/, test/), or "
  f"into <folder>/<class>/, or list them in <folder>/{LABELS} with the columns "
  "path and label; docs/own_data.md shows each."
)


class Picture(NamedTuple):
  """One image."""

  path: user_files.Path
  class_name: str  # As it is written.
  split: str | None  # None: it has to be chosen.
  group: str | None  # Such as a person, if anything says so.


class Layout(NamedTuple):
  """What a folder of a user's own holds."""

  root: user_files.Path
  pictures: list[Picture]
  lists: list[user_files.Path]  # labels.csv and groups.csv, if they are there.
  empty: list[user_files.Path]  # Folders of classes without an image.


def read(data_dir: user_files.Path) -> Layout:
  """Returns the layout of a folder, or of the only folder in it.

  Raises:
    MissingFileError: if there are no images; says how to lay them out.
    UserError: if a list is broken.
  """
  if data_dir.is_file() and data_dir.name.lower() == LABELS:
    data_dir = data_dir.parent
  root = listing.root(data_dir, _is_marked) or data_dir
  inside = listing.folders(root)
  if len(inside) == 1 and not _is_marked(root):
    root, inside = inside[0], listing.folders(inside[0])
  table = listing.child(root, (LABELS,))
  if table:
    layout = Layout(root, _listed(root, table), [table], [])
  elif _is_marked(root):
    layout = _of_splits(root)
  else:
    pictures, empty = _of_classes(root, None)
    layout = Layout(root, pictures, [], empty)
  if not layout.pictures:
    raise MissingFileError(
      f"No images of classes at {data_dir}. {listing.describe(data_dir)} "
      f"{HOW_TO}",
      setting="data.dir",
    )
  return _with_groups(layout)


def _is_marked(folder: user_files.Path) -> bool:
  """Whether a folder is laid out in splits, or has a list."""
  names = [path.name.lower() for path in listing.folders(folder)]
  splits = {SPLIT_NAMES[name] for name in names if name in SPLIT_NAMES}
  # A class may be called "test", two of them hardly "training" and "testing".
  in_splits = "train" in names or len(splits) > 1
  in_splits |= bool(names) and set(names) <= {*SPLIT_NAMES}
  return in_splits or listing.child(folder, (LABELS,)) is not None


def _of_splits(root: user_files.Path) -> Layout:
  pictures, empty, seen = [], [], {}
  for folder in listing.folders(root):
    split = SPLIT_NAMES.get(folder.name.lower())
    if not split:
      continue
    if split in seen:
      raise UserError(
        f"{folder} and {seen[split]} are both the {split} split; put their "
        "images together.",
        setting="data.dir",
      )
    seen[split] = folder
    own, without = _of_classes(folder, split)
    pictures += own
    empty += without
  return Layout(root, pictures, [], empty)


def _of_classes(
  folder: user_files.Path, split: str | None
) -> tuple[list[Picture], list[user_files.Path]]:
  """Returns the images in folders of classes, and the folders without any."""
  pictures, empty = [], []
  classes = listing.folders(folder)
  class_names.require_distinct((path.name for path in classes), str(folder))
  for own in classes:
    paths = image_folder.images_below(own)
    if not paths:
      empty.append(own)
    for path in paths:
      # A folder in that of a class holds the images of one person or video.
      first, *rest = path.relative_to(own).parts
      group = first if rest else None
      pictures.append(Picture(path, text(own.name), split, group))
  return pictures, empty


def _listed(root: user_files.Path, table: user_files.Path) -> list[Picture]:
  """Reads labels.csv."""
  found: dict[user_files.Path, Picture] = {}
  rows = csv_rows(table, ("path", "label"), optional=("split", "group"))
  for line, (name, label, split, group) in rows:
    where = f"{table}, line {line}"
    path = inside(root, name, where)
    if path in found:
      raise UserError(f"{where}: an earlier line names {name} too.")
    if not label:
      raise UserError(f"{where}: {name} has no label.")
    if split and split.lower() not in SPLIT_NAMES:
      raise UserError(
        f"{where}: split is {reprlib.repr(split)}, but must be train, "
        "validation or test, or be left out of the file."
      )
    chosen = SPLIT_NAMES[split.lower()] if split else None
    found[path] = Picture(path, text(label), chosen, group or None)
  with_split = sum(picture.split is not None for picture in found.values())
  if 0 < with_split < len(found):
    raise UserError(
      f"{table}: {len(found) - with_split:,} of {len(found):,} lines have no "
      "split; give all of them one, or none.",
      setting="data.dir",
    )
  return list(found.values())


def _with_groups(layout: Layout) -> Layout:
  """Returns the layout with the groups of groups.csv, if it is there."""
  table = listing.child(layout.root, (GROUPS,))
  if not table:
    return layout
  groups, known = {}, {picture.path for picture in layout.pictures}
  for line, (name, group) in csv_rows(table, ("path", "group")):
    where = f"{table}, line {line}"
    path = inside(layout.root, name, where)
    if path not in known:
      raise UserError(f"{where}: {name} is not among the images of a class.")
    if not group:
      raise UserError(f"{where}: {name} has no group.")
    groups[path] = group
  pictures = [p._replace(group=groups.get(p.path, p.group)) for p in layout[1]]
  return layout._replace(pictures=pictures, lists=[*layout.lists, table])


def inside(root: user_files.Path, name: str, where: str) -> user_files.Path:
  """Returns a file that a list names, which must lie below the list."""
  parts = name.replace("\\", "/").split("/")
  if not name or name.startswith("/") or ".." in parts or ":" in parts[0]:
    raise UserError(
      f"{where}: the path {reprlib.repr(name)} must lead down from {root}."
    )
  path = root.joinpath(*(part for part in parts if part not in ("", ".")))
  if not path.is_file():
    raise MissingFileError(
      f"{where}: there is no file {path}.", setting="data.dir"
    )
  return path


def text(name: str) -> str:
  """Returns a name that can be written anywhere: one line, valid Unicode."""
  return " ".join(name.encode("utf-8", "backslashreplace").decode().split())


def group_of_name(path: user_files.Path) -> str | None:
  """Returns what a file's name says of who is in it, such as S005.

  That is the part before its first "_", if it has a digit: S005_001.png and
  person12_smile.jpg, but not train_00001.jpg nor 00001.jpg; nor the date of a
  telephone's 20240131_120501.jpg.
  """
  first, underscore, rest = path.stem.partition("_")
  if first.isdecimal() and len(first) >= _DIGITS_OF_A_DATE:
    return None
  has_digit = any(character.isdigit() for character in first)
  return first if underscore and rest and has_digit else None
