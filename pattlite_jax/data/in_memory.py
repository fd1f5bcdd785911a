"""Training batches in plain NumPy, for machines without TensorFlow."""

from collections.abc import Iterator

import numpy as np

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
  """Yields the batches of `pipeline.train_batches`, without end."""
  steps = examples_lib.steps_per_epoch(
    examples_lib.epoch_size(examples), batch_size
  )
  epoch, step = divmod(first_step, steps)
  while True:
    order = examples_lib.epoch_rows(examples, seed=seed, epoch=epoch)
    rows = np.full(steps * batch_size, -1)
    rows[: len(order)] = order
    for batch in rows.reshape(steps, batch_size)[step:]:
      share = examples_lib.host_share(batch, host, num_hosts)
      yield examples_lib.gather(examples, share)
    epoch, step = epoch + 1, 0
