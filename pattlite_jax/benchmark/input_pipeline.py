"""The tf.data path alone: how fast it delivers faces of 48 x 48 pixels."""

import itertools
import time

import numpy as np

from pattlite_jax.benchmark import summary, work
from pattlite_jax.data import examples as examples_lib

_NUM_FACES = 28_709  # As many as FER2013's Training.


def milliseconds(batch_size: int, *, rounds: int, seconds: float) -> dict:
  """Returns the time of a batch, as `workers.measure` does of a step."""
  from pattlite_jax.data import pipeline

  faces = _grey_faces()
  batches = pipeline.train_batches(
    faces, batch_size=batch_size, seed=0, first_step=0
  )
  count = max(1, int(seconds / _seconds(batches, 200)))
  return summary.of_seconds([_seconds(batches, count) for _ in range(rounds)])


def _grey_faces() -> examples_lib.Examples:
  few = work.draw_faces(1, work.FACE_SIZE)
  rng = np.random.default_rng(0)
  shape = (_NUM_FACES, work.FACE_SIZE, work.FACE_SIZE, 1)
  return examples_lib.Examples(
    rng.integers(0, 256, shape, np.uint8),
    np.zeros(_NUM_FACES, np.int32),
    np.arange(_NUM_FACES).astype(str),
    few.class_names,
  )


def _seconds(batches, count: int) -> float:
  start = time.perf_counter()
  for _ in itertools.islice(batches, count):
    pass
  return (time.perf_counter() - start) / count
