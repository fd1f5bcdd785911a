"""The tf.data path from a split to training batches.

A batch is a function of (seed, step) alone: the order of an epoch comes from
(seed, epoch), and a run that starts again at `first_step` sees the batches it
would have seen. A host reads its own rows of a batch from memory or from disk,
none before that step. Images stay uint8 at their own size; `augment.py`
prepares them on the device.
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data.streamed import StreamedImages


def train_batches(
  examples: examples_lib.Examples,
  *,
  batch_size: int,
  seed: int,
  first_step: int,
  host: int = 0,
  num_hosts: int = 1,
) -> Iterator[dict[str, np.ndarray]]:
  """Yields this host's share of each batch, without end, from `first_step`.

  Batches are dicts of image u8[b, H, W, C], label i32[b], mask bool[b] and,
  where the examples have them, targets f32[b, K] and annotations [b, ...], with
  b = batch_size / num_hosts. Each epoch visits the rows of
  `examples_lib.epoch_rows`. As in Keras' fit, its last batch may be short: the
  rest of it is masked.

  Raises:
    FileError: if an image on disk has changed; names it.
  """
  epoch_size = examples_lib.epoch_size(examples)
  steps = examples_lib.steps_per_epoch(epoch_size, batch_size)

  def rows_of_epoch(epoch):
    order = examples_lib.epoch_rows(examples, seed=seed, epoch=int(epoch))
    padding = np.full(steps * batch_size - epoch_size, -1)
    batches = np.concatenate([order, padding]).reshape(steps, batch_size)
    shares = [examples_lib.host_share(b, host, num_hosts) for b in batches]
    return np.stack(shares).astype(np.int64)

  def rows_dataset(epoch):
    rows = tf.numpy_function(rows_of_epoch, [epoch], tf.int64)
    return tf.data.Dataset.from_tensor_slices(rows)

  reader = _Reader(examples)
  as_is = tf.autograph.experimental.do_not_convert  # They have no Python loops.
  dataset = tf.data.Dataset.counter(start=first_step // steps)
  dataset = dataset.flat_map(as_is(rows_dataset)).skip(first_step % steps)
  dataset = dataset.map(
    as_is(reader.batch), num_parallel_calls=tf.data.AUTOTUNE
  )
  return reader.batches(dataset.prefetch(tf.data.AUTOTUNE))


class _Reader:
  """Gathers batches in a graph of tf.data."""

  def __init__(self, examples: examples_lib.Examples):
    # Python fetches what lies on disk, TensorFlow decodes it, on all cores.
    self._encoded = isinstance(examples.images, StreamedImages)
    self._examples = examples
    self._errors: list[Exception] = []
    none = self._gather(np.zeros(0, int))
    self._types = {name: array.dtype for name, array in none.items()}

  def batch(self, rows: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the batch of these rows; -1 is padding."""
    arrays = tf.numpy_function(
      lambda rows: [*self._gather(rows).values()],
      [rows],
      [*self._types.values()],
    )
    batch = dict(zip(self._types, arrays, strict=True))
    if isinstance(self._examples.images, StreamedImages):
      files = tf.ensure_shape(batch["image"], [None])
      batch["image"] = self._examples.images.decode(files)
    return batch

  def _gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
    try:
      return examples_lib.gather(self._examples, rows, encoded=self._encoded)
    except Exception as error:
      self._errors.append(error)
      raise

  def batches(
    self, dataset: tf.data.Dataset
  ) -> Iterator[dict[str, np.ndarray]]:
    """Yields the batches; raises what `_gather` raised, not its copy."""
    try:
      yield from dataset.as_numpy_iterator()
    except tf.errors.OpError:
      if self._errors:
        raise self._errors[0] from None
      raise
