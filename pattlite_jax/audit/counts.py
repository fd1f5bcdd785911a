"""Are the splits and classes as large as the published ones?"""

from collections.abc import Mapping
from typing import Any

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import load
from pattlite_jax.data.readers import builder


def audit(
  dataset: str, splits: Mapping[str, examples_lib.Examples]
) -> dict[str, Any]:
  """Compares class counts with those published for `dataset`.

  `matches` is None where none are published, as for drawn faces.
  """
  class_names = next(iter(splits.values())).class_names
  seen = {
    name: tuple(examples_lib.class_counts(split).tolist())
    for name, split in splits.items()
  }
  published = load.published_counts(dataset)
  differences = builder.count_differences(seen, published, class_names)
  return {
    "class_names": list(class_names),
    "seen": {name: list(counts) for name, counts in seen.items()},
    "published": {name: list(counts) for name, counts in published.items()},
    "differences": differences,
    "matches": not differences if published else None,
  }
