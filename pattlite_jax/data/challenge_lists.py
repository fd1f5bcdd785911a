"""RAN's lists of occluded and turned faces of two test sets, as files.

They are those of kaiwang960112/Challenge-condition-FER-dataset (Wang et al.,
"Region Attention Networks", arXiv 1905.04075).
"""

import dataclasses
import re
import reprlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from pattlite_jax.data import user_files
from pattlite_jax.runtime.errors import UserError

HOW_TO_GET = (
  "Get the lists from "
  "https://github.com/kaiwang960112/Challenge-condition-FER-dataset into one "
  "folder."
)


class Published(NamedTuple):
  """A list as it was published."""

  subset: str
  file: str
  pattern: str  # What a line matches; the groups are id and label.
  sample: str  # A line.
  num_lines: int


_FERPLUS_POSE = r"(?P<label>\d)/(?P<id>fer\d{7})\.(?:jpg|png)"
_RAF_DB_POSE = r"(?P<label>\d)/(?P<id>test_\d{4})_aligned\.jpg"
PUBLISHED = {
  "ferplus": (
    Published(
      "occlusion",
      "jianfei_occlusion_list.txt",
      r"(?P<label>\d)_(?P<id>fer\d{7})\.png 8 \d",  # The last: what occludes.
      "1_fer0034656.png 8 0",
      605,
    ),
    Published(
      "pose_30",
      "pose_30_ferplus_list.txt",
      _FERPLUS_POSE,
      "0/fer0032226.jpg",
      1170,
    ),
    Published(
      "pose_45",
      "pose_45_ferplus_list.txt",
      _FERPLUS_POSE,
      "0/fer0032226.jpg",
      633,
    ),
  ),
  "raf_db": (
    Published(
      "occlusion",
      "rafdb_occlusion_list.txt",
      r"(?P<id>test_\d{4})_aligned (?P<label>\d) \d",
      "test_0003_aligned 3 4",
      735,  # For 734 faces: test_2464 is there twice.
    ),
    Published(
      "pose_30",
      "val_raf_db_list.txt",
      _RAF_DB_POSE,
      "0/test_0004_aligned.jpg",
      1247,
    ),
    Published(
      "pose_45",
      "val_raf_db_list_45.txt",
      _RAF_DB_POSE,
      "0/test_0004_aligned.jpg",
      558,
    ),
  ),
}


@dataclasses.dataclass(frozen=True)
class ChallengeList:
  """A list as read, each face once."""

  published: Published
  path: user_files.Path
  num_lines: int
  ids: np.ndarray  # str[N]
  labels: Int[np.ndarray, "N"]
  duplicates: tuple[str, ...]  # Ids of lines that repeat an earlier one.


def read_list(
  path: user_files.Path, published: Published, num_classes: int
) -> ChallengeList:
  """Reads a list.

  Raises:
    UserError: for the first line that is not like the published ones, whose
      label is no class, or that gives a face a second label; if there is none.
  """
  labels, duplicates, num_lines = {}, [], 0
  text = user_files.read_text(path)
  for number, line in enumerate(text.splitlines(), start=1):
    if not line.strip():
      continue
    place = f"{path}, line {number} is {reprlib.repr(line.strip())}"
    match = re.fullmatch(published.pattern, line.strip())
    if not match:
      raise UserError(
        f"{place}, but must be like {published.sample!r}. {HOW_TO_GET}",
        setting="challenge_lists",
      )
    face_id, label = match["id"], int(match["label"])
    if label >= num_classes:
      raise UserError(f"{place}, but its label must be below {num_classes}.")
    if labels.setdefault(face_id, label) != label:
      raise UserError(
        f"{place}, but an earlier line gives {face_id} the label "
        f"{labels[face_id]}; one of them must go."
      )
    num_lines += 1
    if len(labels) + len(duplicates) < num_lines:
      duplicates.append(face_id)
  if not labels:
    raise UserError(
      f"{path} names no face. {HOW_TO_GET}", setting="challenge_lists"
    )
  return ChallengeList(
    published,
    path,
    num_lines,
    np.array(list(labels), dtype=str),
    np.array(list(labels.values()), np.int32),
    tuple(duplicates),
  )
