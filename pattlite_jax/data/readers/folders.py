"""A user's own classes: `config.data.name=folders`.

The layouts are those of `own_folders`. Without splits they are made, 70 % for
training, 15 % for validation and 15 % for testing, by `group_split`; without a
validation split, 15 % of the training images become it.
"""

import collections
import types
from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from pattlite_jax.data import class_names, streamed, user_files
from pattlite_jax.data.examples import Examples
from pattlite_jax.data.readers import (
  group_split,
  image_files,
  listing,
  own_folders,
)
from pattlite_jax.data.readers.own_folders import Layout, Picture
from pattlite_jax.runtime.errors import UserError

NUM_SEEDS = 10
SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}
SHARES_OF_TRAIN = {"train": 0.85, "validation": 0.15}


class Folders(image_files.ImageFiles, skip_registration=True):
  """Own folders; the configuration is the seed of the splits that are made.

  Its class names are those of the files: `for_folder` returns the builder of a
  folder.
  """

  BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
    tfds.core.BuilderConfig(name=f"seed{k}", description=f"Splits of seed {k}.")
    for k in range(NUM_SEEDS)
  ]
  CLASS_NAMES = ()
  IMAGE_SHAPE = (None, None, 3)
  HOMEPAGE = "https://en.wikipedia.org/wiki/Facial_expression"
  VERSION = tfds.core.Version("1.1.0")  # Since which faces become squares.
  ANY_SIZE = True
  MAY_BE_GREY = True

  LAYOUT: ClassVar[Layout | None] = None
  SPLIT_OF: ClassVar[Mapping[user_files.Path, str]] = {}

  @classmethod
  def for_folder(
    cls, data_dir: user_files.Path, config: str | None
  ) -> "type[Folders]":
    """Returns the builder of a folder's classes and splits."""
    layout = own_folders.read(data_dir)
    names = _classes(layout)
    seed = int((config or "seed0").removeprefix("seed"))
    fields: dict[str, Any] = {
      "CLASS_NAMES": names,
      "LAYOUT": layout,
      "SPLIT_OF": _splits(layout, names, seed),
    }
    return types.new_class(
      cls.__name__,
      (cls,),
      {"skip_registration": True},
      lambda f: f.update(fields),
    )

  @classmethod
  def lists(cls, data_dir: user_files.Path) -> list[user_files.Path]:
    """Returns labels.csv and groups.csv, if they are there."""
    return (cls.LAYOUT or own_folders.read(data_dir)).lists

  @classmethod
  def entries(cls, data_dir: user_files.Path) -> image_files.Splits:
    """Returns the images of each split, by class and name."""
    if cls.LAYOUT is None:
      return cls.for_folder(data_dir, None).entries(data_dir)
    splits = {"train": [], "validation": [], "test": []}
    label_of = _labels(cls.LAYOUT, cls.CLASS_NAMES)
    for picture in cls.LAYOUT.pictures:
      label = label_of[picture.class_name]
      name = picture.path.relative_to(cls.LAYOUT.root).as_posix()
      splits[cls.SPLIT_OF[picture.path]].append(
        image_files.Entry(picture.path, label, own_folders.text(name))
      )
    return splits

  @classmethod
  def remarks(cls, data_dir: user_files.Path) -> list[str]:
    """Says how the splits came to be, and what is odd about the classes."""
    if cls.LAYOUT is None:
      return cls.for_folder(data_dir, None).remarks(data_dir)
    read = [*cls.LAYOUT.lists, *(p.path for p in cls.LAYOUT.pictures)]
    lines = _of_splits(cls.LAYOUT, cls.SPLIT_OF)
    lines += [f"{f} has no image and is left out." for f in cls.LAYOUT.empty]
    lines += _of_classes(cls.entries(data_dir), cls.CLASS_NAMES)
    return lines + listing.unread(cls.LAYOUT.root, read)

  def remarks_on(self, splits: Mapping[str, Examples]) -> list[str]:
    """Says which images are in two splits, or have two labels."""
    return _of_duplicates(splits)


def _classes(layout: Layout) -> tuple[str, ...]:
  """Returns the classes, in the order of their names; numbers by their size.

  Of names that mean the same, such as Happy in train/ and happy in test/, the
  first counts.
  """
  names: dict[str, str] = {}
  by_split = sorted(layout.pictures, key=lambda p: p.split != "train")
  for picture in by_split:
    names.setdefault(
      class_names.canonical(picture.class_name), picture.class_name
    )
  if len(names) < 2:
    raise UserError(
      f"{layout.root} has images of one class, {next(iter(names.values()))}, "
      f"but a network tells two or more apart. {own_folders.HOW_TO}",
      setting="data.dir",
    )
  numbers = all(name.isdecimal() for name in names.values())
  order = (lambda name: int(name)) if numbers else str.casefold
  return tuple(sorted(names.values(), key=order))


def _labels(layout: Layout, names: tuple[str, ...]) -> dict[str, int]:
  """Returns the label of each class as it is written."""
  by_meaning = {class_names.canonical(name): k for k, name in enumerate(names)}
  written = {picture.class_name for picture in layout.pictures}
  return {name: by_meaning[class_names.canonical(name)] for name in written}


def _splits(
  layout: Layout, names: tuple[str, ...], seed: int
) -> dict[user_files.Path, str]:
  """Returns the split of each image, as it is given or made."""
  found = {p.path: p.split for p in layout.pictures if p.split}
  if found and "validation" in found.values():
    return found
  open_ones = [p for p in layout.pictures if p.split in (None, "train")]
  label_of = _labels(layout, names)
  chosen = group_split.split(
    [_group(picture, layout) for picture in open_ones],
    [label_of[picture.class_name] for picture in open_ones],
    SHARES_OF_TRAIN if found else SHARES,
    seed=seed,
  )
  paths = [picture.path for picture in open_ones]
  return found | dict(zip(paths, chosen, strict=True))


def _group(picture: Picture, layout: Layout) -> str:
  """Returns whom a picture shows, or a name of its own if nothing says so."""
  own = picture.path.relative_to(layout.root).as_posix()
  return picture.group or own_folders.group_of_name(picture.path) or f"/{own}"


def _of_splits(
  layout: Layout, split_of: Mapping[user_files.Path, str]
) -> list[str]:
  """Says which splits were made and how, and which given ones share people."""
  given = {p.split for p in layout.pictures if p.split}
  splits_of_group = collections.defaultdict(set)
  for picture in layout.pictures:
    group = _group(picture, layout)
    if not group.startswith("/"):
      splits_of_group[group].add(split_of[picture.path])
  shared = sorted(g for g, own in splits_of_group.items() if len(own) > 1)
  lines = []
  if shared:
    lines.append(
      f"{len(shared):,} groups (persons or videos) are in several splits, such "
      f"as {listing.shown(shared[0])}: the scores will be too high."
    )
  if "validation" in given:
    return lines
  of = [
    _group(p, layout) for p in layout.pictures if p.split in (None, "train")
  ]
  named = {group for group in of if not group.startswith("/")}
  if named:
    how = (
      f"{len(named):,} groups, such as {listing.shown(min(named))}, stay whole"
    )
  else:
    how = (
      "each image for itself, as nothing says which show the same person; a "
      f"{own_folders.GROUPS} can"
    )
  if not given:
    lines.append(f"there are no splits, so they were made: {how}.")
  elif of:
    lines.append(
      f"15 % of the train split was made the validation split: {how}."
    )
  return lines


def _of_classes(
  splits: image_files.Splits, names: tuple[str, ...]
) -> list[str]:
  """Says which classes have too few images, or none in a split."""
  counts = {
    split: collections.Counter(names[e.label] for e in own)
    for split, own in splits.items()
    if own
  }
  lines = []
  for name in names:
    own = {split: count[name] for split, count in counts.items()}
    if sum(own.values()) == 1:
      lines.append(f"the class {name} has one image.")
    without = [split for split, number in own.items() if not number]
    if "train" in without:
      only = " and ".join(split for split in own if own[split])
      lines.append(
        f"the class {name} is in {only} only, so that no network can learn it."
      )
    elif without:
      lines.append(f"the class {name} has no image in {' and '.join(without)}.")
  return lines


def _of_duplicates(splits: Mapping[str, Examples]) -> list[str]:
  """Says how many images have the same pixels in two splits, or two labels."""
  seen: dict[bytes, tuple[str, str, int]] = {}
  across, labels = collections.defaultdict(list), []
  for split, examples in splits.items():
    for digest, name, label in zip(
      streamed.digests(examples.images),
      examples.ids,
      examples.labels,
      strict=True,
    ):
      key = digest.tobytes()
      other, other_name, other_label = seen.setdefault(
        key, (split, str(name), int(label))
      )
      if other != split:
        across[other, split].append(f"{other_name} and {name}")
      if other_label != label:
        labels.append(f"{other_name} and {name}")
  lines = [
    f"{len(pairs):,} images of {b} are in {a} too, such as {pairs[0]}: remove "
    "them, or its score will be too high."
    for (a, b), pairs in across.items()
  ]
  if labels:
    lines.append(
      f"{len(labels):,} images have a copy with another class, such as "
      f"{labels[0]}."
    )
  return lines
