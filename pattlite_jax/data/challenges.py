"""The challenge subsets of a test split: RAN's occluded and turned faces.

The lists' labels are indices into the data set's own classes, but differ from
its labels for a few faces; a subset holds both.
"""

import dataclasses
from typing import Any

import numpy as np
from absl import logging
from jaxtyping import Int

from pattlite_jax.data import user_files
from pattlite_jax.data.challenge_lists import (
  HOW_TO_GET,
  PUBLISHED,
  ChallengeList,
  read_list,
)
from pattlite_jax.data.examples import Examples
from pattlite_jax.runtime.errors import MissingFileError, UserError


@dataclasses.dataclass(frozen=True)
class Subset:
  """The faces of a list that a test split holds, and those that it lacks."""

  source: ChallengeList
  examples: Examples  # With the data set's own labels, in the list's order.
  list_labels: Int[np.ndarray, "M"]
  dropped: tuple[str, ...]  # Ids in the data set's files, but with no label.
  unknown: tuple[str, ...]  # Ids that are not among the test images at all.

  @property
  def agreement(self) -> float:
    """The share of the faces for which both labels are the same."""
    return float((self.examples.labels == self.list_labels).mean())


def load_subsets(
  dataset: str, folder: str, data_dir: str | None, test: Examples
) -> tuple[Subset, ...]:
  """Returns the subsets of a test split whose lists are in a folder.

  The lists may also lie one folder below, as in their repository. `data_dir`
  is None for a packed data set.

  Raises:
    UserError: if there are no lists for the data set, one is broken, or one
      has no face in common with the split.
    MissingFileError: if none of the lists is there.
  """
  family = dataset.partition("/")[0]
  if family not in PUBLISHED:
    raise UserError(
      f"There are no challenge lists for {dataset!r}, only for ferplus/... and "
      "raf_db; leave out the lists or choose one of these.",
      setting="data.name",
    )
  root = user_files.folder(folder)
  without_label = labelless_ids(dataset, data_dir, test)
  subsets = []
  for published in PUBLISHED[family]:
    paths = sorted([root / published.file, *root.glob(f"*/{published.file}")])
    paths = [path for path in paths if path.is_file()]
    if paths:
      listed = read_list(paths[0], published, len(test.class_names))
      subsets.append(select(listed, test, without_label))
    else:
      logging.warning("No %s in %s; it is not scored.", published.file, root)
  if not subsets:
    names = ", ".join(published.file for published in PUBLISHED[family])
    raise MissingFileError(
      f"None of {names} is in {root}. {HOW_TO_GET}", setting="challenge_lists"
    )
  return tuple(subsets)


def describe(subset: Subset) -> dict[str, Any]:
  """Returns what the checks found, as JSON takes it."""
  source = subset.source
  return {
    "file": str(source.path),
    "num_lines": source.num_lines,
    "published_num_lines": source.published.num_lines,
    "duplicates": list(source.duplicates),
    "dropped_by_rule": list(subset.dropped),
    "unknown": list(subset.unknown),
    "num_examples": len(subset.examples),
    "label_agreement": subset.agreement,
  }


def select(
  listed: ChallengeList, test: Examples, labelless_ids: frozenset[str]
) -> Subset:
  """Returns the faces of a list that the test split holds.

  `labelless_ids` are the test images that the data set gives no label.

  Raises:
    UserError: if the split holds none of the faces.
  """
  row_of = {face_id: row for row, face_id in enumerate(test.ids)}
  held = np.array([i in row_of for i in listed.ids], bool)
  if not held.any():
    raise UserError(
      f"None of the {len(held)} faces of {listed.path}, such as "
      f"{', '.join(listed.ids[:3])}, is in the test split, whose names are "
      f"like {', '.join(test.ids[:3])}. Is this the data set that the list was "
      "made for?",
      setting="data.name",
    )
  absent = listed.ids[~held].tolist()
  return Subset(
    listed,
    test.take(np.array([row_of[i] for i in listed.ids[held]])),
    listed.labels[held],
    dropped=tuple(i for i in absent if i in labelless_ids),
    unknown=tuple(i for i in absent if i not in labelless_ids),
  )


def labelless_ids(
  dataset: str, data_dir: str | None, test: Examples
) -> frozenset[str]:
  """Returns the test images to which FER+'s rule gives no label.

  Without its files (`data_dir` is None), none of them is known.
  """
  if not dataset.startswith("ferplus/"):
    return frozenset()  # RAF-DB labels every image.
  if data_dir is None:
    logging.warning(
      "A packed set holds no votes of images without a label; those on the "
      "lists count as unknown."
    )
    return frozenset()
  from pattlite_jax.data.readers import fer2013, ferplus

  folder = user_files.folder(data_dir)
  votes_path = ferplus.FerPlus.source_files(folder)[1]
  usages, names, _ = ferplus.read_votes(votes_path)
  named = {
    name
    for usage, name in zip(usages, names, strict=True)
    if name and fer2013.SPLIT_OF_USAGE[usage] == "test"
  }
  return frozenset(named - set(test.ids))
