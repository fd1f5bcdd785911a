"""Parameters of Flax modules, read without being made once more."""

from collections.abc import Callable
from typing import Any

import flax.errors
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array


def parameter(
  module: nn.Module,
  name: str,
  init: Callable[..., Array],
  shape: tuple[int, ...],
) -> Any:  # An Array, or what the caller's variables hold in its place.
  """Returns what `module.param(name, init, shape)` does.

  Flax traces `init` to compare the shape of a parameter that exists, which
  takes a good part of the time of a network's own trace.

  Raises:
    flax.errors.ScopeParamShapeError: if it exists and has another shape.
  """
  if not module.has_variable("params", name):
    return module.param(name, init, shape)
  value = module.get_variable("params", name)
  if jnp.shape(value) != shape:
    assert module.scope is not None
    raise flax.errors.ScopeParamShapeError(
      name, module.scope.path_text, jnp.shape(value), shape
    )
  return value
