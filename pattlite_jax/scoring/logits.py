"""Logits of a whole split: the one path behind every figure."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.models.folding import fold_batch_norm
from pattlite_jax.runtime import parallel

# (examples, batch_size) -> logits f32[N, K].
LogitsOf = Callable[[examples_lib.Examples, int], np.ndarray]


def predict(
  predict_step: Callable[..., Any],
  variables: dict[str, Any],
  examples: examples_lib.Examples,
  *,
  batch_size: int,
) -> Float[np.ndarray, "N K"]:
  """Returns the logits of the examples, in their order.

  `predict_step` comes from `parallel.map_predict_step`. Rows added to fill
  the last batch, or to share a batch over the devices, are masked.
  """
  return predict_prepared(
    predict_step, prepare(variables), examples, batch_size=batch_size
  )


def prepare(variables: dict[str, Any]) -> dict[str, Any]:
  """Returns folded variables on the devices, as a predict step takes them."""
  return parallel.replicate(jax.jit(fold_batch_norm)(variables))


def predict_prepared(
  predict_step: Callable[..., Any],
  variables: dict[str, Any],
  examples: examples_lib.Examples,
  *,
  batch_size: int,
) -> Float[np.ndarray, "N K"]:
  """Returns what `predict` does, of variables that `prepare` returned."""
  host, num_hosts = parallel.host()
  batches = examples_lib.eval_batches(
    examples,
    batch_size,
    padded_size=parallel.pad_to_devices(batch_size),
    host=host,
    num_hosts=num_hosts,
  )
  logits = [
    predict_step(variables, batch) for batch in parallel.device_batches(batches)
  ]
  return parallel.gather_rows(logits, batch_size)[: len(examples)]


def of_flip_views(logits_of: LogitsOf) -> LogitsOf:
  """Returns the same for the mean logits of an image and its mirror image."""

  def mean_logits_of(examples, batch_size):
    mirrored = dataclasses.replace(examples, images=examples.images[:, :, ::-1])
    views = [logits_of(view, batch_size) for view in (examples, mirrored)]
    return np.mean(views, axis=0)

  return mean_logits_of
