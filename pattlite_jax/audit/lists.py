"""Are RAN's challenge lists whole, and does the test split hold their faces?"""

import pathlib
from typing import Any

from pattlite_jax.data import challenge_lists, challenges
from pattlite_jax.data import examples as examples_lib


def audit(
  dataset: str, folder: str, data_dir: str | None, test: examples_lib.Examples
) -> dict[str, Any]:
  """Reads a data set's lists and looks for their faces in its test split.

  The test split must have the data set's own labels; `data_dir` is None for a
  packed data set.

  Raises:
    UserError: if a list is broken or of another data set.
    MissingFileError: if there are no lists.
  """
  if not len(test):
    return {"skipped": "the test split, which holds the lists' faces, is empty"}
  subsets = challenges.load_subsets(dataset, folder, data_dir, test)
  lists = {s.source.published.subset: challenges.describe(s) for s in subsets}
  found = {pathlib.Path(described["file"]).name for described in lists.values()}
  published = challenge_lists.PUBLISHED[dataset.partition("/")[0]]
  missing = [p.file for p in published if p.file not in found]
  return {"missing_files": missing, "lists": lists}
