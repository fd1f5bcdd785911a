"""Logits of a whole split: the one path behind every figure."""

import functools
from collections.abc import Callable

import jax
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.method import Batch, Method, Variables
from pattlite_jax.runtime import parallel

# (examples, batch_size) -> logits f32[N, K].
LogitsOf = Callable[[examples_lib.Examples, int], np.ndarray]


class Predictor:
  """A network, compiled for the devices, on images of any split."""

  def __init__(self, method: Method, network: nn.Module):
    """Takes `method.network` or `method.alone`, or one of their variables."""
    self._fold = jax.jit(method.fold)
    self._step = parallel.map_predict_step(
      functools.partial(predict_step, method=method, network=network)
    )

  def prepare(self, variables: Variables) -> Variables:
    """Returns folded variables on the devices, for `logits`."""
    return parallel.replicate(self._fold(variables))

  def step(self, prepared: Variables, batch: dict[str, Array]) -> Array:
    """Returns the logits of one batch on the devices, each device's rows."""
    return self._step(prepared, batch)

  def logits(
    self,
    prepared: Variables,
    examples: examples_lib.Examples,
    *,
    batch_size: int,
  ) -> Float[np.ndarray, "N K"]:
    """Returns the logits of the examples, in their order.

    Rows added to fill the last batch, or to share a batch over the devices, are
    masked.
    """
    host, num_hosts = parallel.host()
    batches = examples_lib.eval_batches(
      examples,
      batch_size,
      padded_size=parallel.pad_to_devices(batch_size),
      host=host,
      num_hosts=num_hosts,
    )
    shares = [
      self.step(prepared, batch) for batch in parallel.device_batches(batches)
    ]
    return parallel.gather_rows(shares, batch_size)[: len(examples)]

  def __call__(
    self,
    variables: Variables,
    examples: examples_lib.Examples,
    *,
    batch_size: int,
  ) -> Float[np.ndarray, "N K"]:
    """Returns `logits` of variables that are not prepared yet."""
    return self.logits(self.prepare(variables), examples, batch_size=batch_size)


def predict_step(
  variables: Variables, batch: Batch, *, method: Method, network: nn.Module
) -> Float[Array, "B K"]:
  """Returns the logits of one device's rows; masked rows mean nothing."""
  images = method.prepare(batch["image"])
  return method.logits(network, variables, images, batch["mask"])


def of_flip_views(logits_of: LogitsOf) -> LogitsOf:
  """Returns the same for the mean logits of an image and its mirror image."""

  def mean_logits_of(examples, batch_size):
    both = (examples, examples_lib.mirrored(examples))
    views = [logits_of(view, batch_size) for view in both]
    return np.mean(views, axis=0)

  return mean_logits_of
