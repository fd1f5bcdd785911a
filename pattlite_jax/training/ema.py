"""Exponential moving averages of what training changes in a network."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree


class Average(NamedTuple):
  """The average of a tree's values after each step of a stage."""

  count: Any  # i32[], steps averaged.
  values: Any


def start(values: PyTree) -> Average:
  """Returns the average before the first step: copies, as steps donate."""
  return Average(jnp.zeros((), jnp.int32), jax.tree.map(jnp.array, values))


def update(average: Average, values: PyTree, *, decay: float) -> Average:
  """Returns the average with one more step's values.

  The decay of step t, from 0 on, is at most (1 + t) / (10 + t), so that the
  values before training soon weigh nothing.
  """
  count = average.count
  weight = 1 - jnp.minimum(decay, (1 + count) / (10 + count))
  moved = jax.tree.map(
    lambda mean, new: mean + weight * (new - mean), average.values, values
  )
  return Average(count + 1, moved)
