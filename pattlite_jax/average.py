"""Exponential moving averages of the parameters that train."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree


class Average(NamedTuple):
  """The average of the parameters after each step of a stage."""

  count: Any  # i32[], steps averaged.
  params: Any


def start(params: PyTree) -> Average:
  """Returns the average before the first step: copies, as steps donate."""
  return Average(jnp.zeros((), jnp.int32), jax.tree.map(jnp.array, params))


def update(average: Average, params: PyTree, *, decay: float) -> Average:
  """Returns the average with one more step's parameters.

  The decay of step t, from 0 on, is at most (1 + t) / (10 + t), so that the
  parameters before training soon weigh nothing.
  """
  count = average.count
  weight = 1 - jnp.minimum(decay, (1 + count) / (10 + count))
  moved = jax.tree.map(
    lambda mean, new: mean + weight * (new - mean), average.params, params
  )
  return Average(count + 1, moved)
