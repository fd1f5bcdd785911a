"""The tf.data path from a split in memory to training batches.

A batch is a function of (seed, step) alone: the order of an epoch comes from
(seed, epoch), and a run that starts again at `first_step` sees the batches it
would have seen. Images stay uint8 at their own size; `augment.py` prepares
them on the device.
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from pattlite_jax.data import examples as examples_lib


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

  arrays = {
    "image": tf.constant(examples.images),
    "label": tf.constant(examples.labels.astype(np.int32)),
    **{name: tf.constant(x) for name, x in examples.annotations.items()},
  }
  if examples.targets is not None:
    arrays["targets"] = tf.constant(examples.targets)

  def gather(rows):
    mask = rows >= 0
    rows = tf.maximum(rows, 0)
    batch = {name: tf.gather(array, rows) for name, array in arrays.items()}
    return batch | {"mask": mask}

  dataset = tf.data.Dataset.counter(start=first_step // steps)
  dataset = dataset.flat_map(rows_dataset).skip(first_step % steps)
  dataset = dataset.map(gather, num_parallel_calls=tf.data.AUTOTUNE)
  return dataset.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()
