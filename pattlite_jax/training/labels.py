"""The labels in use, of methods that correct labels while they train.

They are part of the training's state, so checkpoints hold them, and a run that
goes on has them as they were.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from pattlite_jax.data.examples import Examples
from pattlite_jax.runtime import parallel


def corrected(
  labels: Int[Array, "N"],
  rows: Int[Array, "b"],
  found: Int[Array, "b"],
  mask: Bool[Array, "b"],
) -> Int[Array, "N"]:
  """Inside a step: the labels with those that a batch found for its images.

  `rows` are the images' places among the N. Padding changes nothing; of an
  image that is in the batch twice, the last find counts.
  """
  rows, found, mask = (
    parallel.gather_batch(array) for array in (rows, found, mask)
  )
  places = jnp.arange(len(rows))
  same = (rows[:, None] == rows[None, :]) & mask[None, :]
  comes_again = (same & (places[None, :] > places[:, None])).any(axis=1)
  kept = jnp.where(mask & ~comes_again, rows, len(labels))
  return labels.at[kept].set(found, mode="drop")


def describe(
  labels: Int[np.ndarray, "N"], train: Examples, own: Examples
) -> dict[str, Any]:
  """Returns what result.json says of the labels in use.

  `train` has the labels that training began with, `own` those of the data set,
  which differ where config.data has noise.
  """
  changed = np.flatnonzero(labels != train.labels)
  names = train.class_names
  return {
    "corrected": len(changed),
    "to_the_data_sets_own": int((labels == own.labels)[changed].sum()),
    "images": [
      {
        "id": str(train.ids[row]),
        "from": names[train.labels[row]],
        "to": names[labels[row]],
      }
      for row in changed
    ],
  }
