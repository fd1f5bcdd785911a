"""ExpW: 91,793 faces in pictures of the web, with boxes; 7 classes.

It has no official splits. Those here are made by `group_split` with the seed 0:
70, 15 and 15 %, all faces of a picture in one of them.

Class counts: as papers that use the set state them; they add up to the authors'
91,793.
"""

import collections
import re
import reprlib
from typing import ClassVar

import tensorflow_datasets as tfds

from pattlite_jax.data import user_files
from pattlite_jax.data.readers import builder, group_split, image_files, listing
from pattlite_jax.runtime.errors import UserError

SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}
LIST_NAME = "label.lst"
# Picture, number of the face in it, top, left, right, bottom, confidence, and
# the label.
LINE = re.compile(
  r"(?P<name>\S.*?)\s+(?P<face>\d{1,6})\s+(?P<top>-?\d{1,6})\s+(?P<left>-?\d{1,6})"
  r"\s+(?P<right>-?\d{1,6})\s+(?P<bottom>-?\d{1,6})\s+\S+\s+(?P<label>[0-6])"
)
HOMEPAGE = "http://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html"
HOW_TO_GET = (
  f"Get ExpW from {HOMEPAGE} and unpack it, so that label/label.lst and "
  "image/origin are there."
)


class ExpW(image_files.ImageFiles, skip_registration=True):
  """Expression in the Wild; the splits are ours."""

  CLASS_NAMES = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
    "neutral",
  )
  IMAGE_SHAPE = (None, None, 3)
  HOMEPAGE = HOMEPAGE
  VERSION = tfds.core.Version("1.1.0")  # Since which faces become squares.
  ANY_SIZE = True
  PUBLISHED_COUNTS: ClassVar[builder.Counts] = {
    "all": (3671, 3995, 1088, 30537, 10559, 7060, 34883)
  }

  @classmethod
  def lists(cls, data_dir: user_files.Path) -> list[user_files.Path]:
    """Returns label.lst."""
    return [_find_list(data_dir)[1]]

  @classmethod
  def entries(cls, data_dir: user_files.Path) -> image_files.Splits:
    """Returns the faces of each split, in the order of the list."""
    root, path = _find_list(data_dir)
    faces = read_list(path, _images(root))
    chosen = group_split.split(
      [face.path.name for face in faces],
      [face.label for face in faces],
      SHARES,
      seed=0,
    )
    splits = {split: [] for split in SHARES}
    for face, split in zip(faces, chosen, strict=True):
      splits[split].append(face)
    return splits


def read_list(
  path: user_files.Path, images: user_files.Path
) -> list[image_files.Entry]:
  """Reads label.lst; ids are such as angry_actor_104.jpg#0.

  The second line of the same picture and face ends in "-2".

  Raises:
    UserError: for the first line that is broken.
    MissingFileError: if a picture is not there.
  """
  there = {own.name: own for own in listing.children(images)}
  found: dict[str, image_files.Entry] = {}
  seen = collections.Counter()
  text = user_files.read_text(path)
  for number, line in enumerate(text.splitlines(), start=1):
    if not line.strip():
      continue
    match = LINE.fullmatch(line.strip())
    where = f"{path}, line {number} is {reprlib.repr(line.strip())}"
    if not match:
      raise UserError(
        f"{where}, but must be like 'angry_actor_104.jpg 0 28 113 226 141 22.9 "
        "0', with a label from 0 to 6."
      )
    if match["name"] not in there:
      raise builder.missing_files_error(
        "ExpW picture", images / listing.shown(match["name"]), HOW_TO_GET
      )
    box = (
      int(match["top"]),
      int(match["left"]),
      int(match["bottom"]),
      int(match["right"]),
    )
    name = f"{match['name']}#{match['face']}"
    seen[name] += 1
    face_id = name if seen[name] == 1 else f"{name}-{seen[name]}"
    found[face_id] = image_files.Entry(
      there[match["name"]], int(match["label"]), face_id, box
    )
  if not found:
    raise UserError(f"{path} names no face. {HOW_TO_GET}")
  return list(found.values())


def _list_path(root: user_files.Path) -> user_files.Path | None:
  for place in (listing.child(root, ("label",)), root):
    found = listing.child(place, (LIST_NAME,)) if place else None
    if found:
      return found
  return None


def _find_list(
  data_dir: user_files.Path,
) -> tuple[user_files.Path, user_files.Path]:
  """Returns the folder of the set, and label.lst in it."""
  root = listing.root(data_dir, _list_path)
  path = _list_path(root) if root else None
  if root and path:
    return root, path
  raise builder.missing_set_error(
    "ExpW",
    data_dir,
    looked_for="label/label.lst and image/origin",
    how_to_get=HOW_TO_GET,
  )


def _images(root: user_files.Path) -> user_files.Path:
  """Returns the folder of pictures: image/origin, origin or image."""
  outer = listing.child(root, ("image", "images")) or root
  return listing.child(outer, ("origin",)) or outer
