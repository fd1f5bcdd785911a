"""Does a prediction depend on the other images of its batch?

The same images are predicted alone and in batches of several kinds; what is
measured against the image alone is the change of its logits.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring import metrics

# u8[B, H, W, C] -> f32[B, K], of any library.
LogitsOf = Callable[[np.ndarray], Any]
# Largest change allowed, relative to the logits' scale. It is not 0: libraries
# add floats in another order, or with another algorithm, at another batch size.
# In float32 that moves logits by about 1e-6 of their scale; batch norm in
# training mode or attention over the batch by as much as the scale itself.
TOLERANCE = 1e-3


def sample(
  examples: examples_lib.Examples, num_images: int, *, seed: int
) -> examples_lib.Examples:
  """Draws images, of each class its share, and keeps their order."""
  drawn = np.random.default_rng(seed).permutation(len(examples))
  by_class = drawn[np.argsort(examples.labels[drawn], kind="stable")]
  num_images = min(num_images, len(examples))
  places = np.arange(num_images) * len(examples) // max(num_images, 1)
  return examples.take(np.sort(by_class[places]))


def audit(
  logits_of: LogitsOf,
  examples: examples_lib.Examples,
  *,
  batch_sizes: Sequence[int] = (1, 8, 32),
  seed: int,
  tolerance: float = TOLERANCE,
) -> dict[str, Any]:
  """Compares each image's logits in many batches with those of it alone.

  `logits_of` may be any model; probabilities do as well as logits. At batch
  size 1 the images are predicted a second time, in another order: a change
  there means that the model draws random numbers or keeps a state. Batches are
  always full, so a compiled model compiles once a batch size.

  Raises:
    UserError: if the outputs are no finite [B, K] with K of 2 or more.
  """
  official = np.arange(len(examples))
  alone = _predict(logits_of, examples, official[:, None])
  centred = alone - alone.mean(axis=1, keepdims=True)  # Softmax ignores means.
  scale = float(np.sqrt(np.mean(np.square(centred))))
  conditions = []
  for batch_size in batch_sizes:
    for name, batches in arrangements(examples.labels, batch_size, seed):
      logits = _predict(logits_of, examples, batches)
      change = float(np.abs(logits - alone).max())
      conditions.append(
        {
          "name": name,
          "batch_size": batch_size,
          "largest_change": change,
          "flips": int((logits.argmax(-1) != alone.argmax(-1)).sum()),
          "accuracy": _accuracy(logits, examples),
          "passed": change <= tolerance * scale,
        }
      )
  return {
    "passed": all(condition["passed"] for condition in conditions),
    "verdict": _verdict(conditions),
    "num_images": len(examples),
    "seed": seed,
    "logit_scale": scale,
    "tolerance": {"relative": tolerance, "absolute": tolerance * scale},
    "alone": {"accuracy": _accuracy(alone, examples)},
    "conditions": conditions,
  }


def arrangements(
  labels: Int[np.ndarray, "N"], batch_size: int, seed: int
) -> Iterator[tuple[str, Int[np.ndarray, "M {batch_size}"]]]:
  """Yields (name, rows of each batch), every row at least once.

  Where the rows do not fill the last batch, the first ones fill it.
  """
  official = np.arange(len(labels))
  shuffled = np.random.default_rng(seed).permutation(official)
  if batch_size == 1:
    yield "alone, a second time", shuffled[:, None]
    return
  batches = _fill(official, batch_size)
  yield "official order", batches
  yield "the same batches, reversed", batches[:, ::-1]
  yield "shuffled", _fill(shuffled, batch_size)
  of_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
  yield "single class", np.concatenate([_fill(c, batch_size) for c in of_class])


def _fill(
  rows: Int[np.ndarray, "N"], batch_size: int
) -> Int[np.ndarray, "M {batch_size}"]:
  num_batches = -(-len(rows) // batch_size)
  return np.resize(rows, (num_batches, batch_size))  # Repeats the rows.


def _predict(
  logits_of: LogitsOf,
  examples: examples_lib.Examples,
  batches: Int[np.ndarray, "M B"],
) -> Float[np.ndarray, "N K"]:
  """Returns the logits of all images, in their order; repeats do not count."""
  logits = []
  for rows in batches:
    output = np.asarray(logits_of(examples.images[rows]), np.float32)
    if output.ndim != 2 or len(output) != len(rows) or output.shape[1] < 2:
      raise UserError(
        f"The model gave an array of shape {output.shape} for {len(rows)} "
        f"images; expected ({len(rows)}, number of classes)."
      )
    metrics.require_finite(output, examples.ids[rows])
    logits.append(output)
  _, first_places = np.unique(batches, return_index=True)
  return np.concatenate(logits)[first_places]


def _accuracy(
  logits: Float[np.ndarray, "N K"], examples: examples_lib.Examples
) -> float:
  return float((logits.argmax(-1) == examples.labels).mean())


def _verdict(conditions: list[dict[str, Any]]) -> str:
  failed = {c["batch_size"] for c in conditions if not c["passed"]}
  if 1 in failed:
    return (
      "not repeatable: an image alone gets other logits the second time, so "
      "the model draws random numbers or keeps a state"
    )
  if failed:
    return "dependent: predictions depend on the images in the batch"
  return "independent: no prediction depends on its batch"
