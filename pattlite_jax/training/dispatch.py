"""Several training steps in one dispatch: config.steps_per_dispatch.

A small step can take a GPU or TPU less time than the host needs to start it.
Then k batches go to the devices as one stack, and one call takes k steps, with
the results of k calls. No other file knows how many steps a call takes.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from pattlite_jax.runtime import parallel
from pattlite_jax.training import step as step_lib


def mapped(step: Callable[..., Any]) -> Callable[..., Any]:
  """Maps step(state, batch, *shared) over the devices and a stack of batches.

  Returns a function (state, stack, *shared) -> (state, metrics stacked to [k]).
  `shared` is what all steps take alike, such as the run's key.
  """
  take_steps = parallel.pmap_train_step(in_turn(step))

  def take(state, stack, *shared):
    changed, metrics = take_steps(state, stack, shared)
    return step_lib.merge(changed, state), metrics

  return take


def in_turn(step: Callable[..., Any]) -> Callable[..., Any]:
  """Returns (state, stack, shared) -> what `mapped` gives; not yet mapped."""

  def steps(state, stack, shared):
    return jax.lax.scan(lambda state, b: step(state, b, *shared), state, stack)

  return steps


def stacks(
  batches: Iterator[dict[str, np.ndarray]],
  *,
  first_step: int,
  steps_per_epoch: int,
  steps_per_dispatch: int,
) -> Iterator[tuple[int, dict[str, Array]]]:
  """Yields (k, the next k batches on the devices), for `mapped`, without end.

  No stack crosses the end of an epoch. What is left of an epoch goes step by
  step, so that only two sizes are compiled.
  """
  sizes = _sizes(first_step, steps_per_epoch, steps_per_dispatch)
  for_arrays, for_loop = itertools.tee(sizes)
  return zip(for_loop, _stacked(batches, for_arrays), strict=False)


def passed(every: int, previous: int, step: int) -> bool:
  """Whether a multiple of `every` lies after `previous`, up to `step`.

  0 has no multiples: what is due at the end of an epoch alone.
  """
  return bool(every) and step // every > previous // every


def _sizes(
  first_step: int, steps_per_epoch: int, steps_per_dispatch: int
) -> Iterator[int]:
  step = first_step
  while True:
    left = steps_per_epoch - step % steps_per_epoch
    size = steps_per_dispatch if left >= steps_per_dispatch else 1
    yield size
    step += size


def _stacked(
  batches: Iterator[dict[str, np.ndarray]], sizes: Iterable[int]
) -> Iterator[dict[str, Array]]:
  """Arrays go from k x [b, ...] to [local devices, k, b / devices, ...]."""

  def stacked():
    for size in sizes:
      stack = list(itertools.islice(batches, size))
      yield {name: np.stack([b[name] for b in stack]) for name in stack[0]}

  return parallel.on_devices(stacked(), batch_axis=1)
