"""Batch norm folded into the convolutions before it.

Once for inference; in each training step that keeps the trunk's statistics, as
multiplying the kernels is less work than multiplying what they give.
"""

from typing import Any

import jax
import jax.numpy as jnp

from pattlite_jax.method import TRUNK
from pattlite_jax.models.batch_norm import BatchNorm


def fold_trunk(
  variables: dict[str, Any], *, epsilon: float = BatchNorm.epsilon
) -> dict[str, Any]:
  """Returns the variables of the same network with `folded` set.

  Gain (y - mean) + bias after a convolution y of the trunk becomes part of its
  kernel and its bias; the predictions stay the same up to rounding. Batch norm
  elsewhere stays. `epsilon` is the trunk's.
  """
  params, stats = dict(variables["params"]), dict(variables["batch_stats"])
  trunk, norms = dict(params[TRUNK]), stats.pop(TRUNK, {})
  for name, statistics in norms.items():
    scale, bias = (trunk[name][part] for part in ("scale", "bias"))
    gain = scale * jax.lax.rsqrt(jnp.asarray(statistics["var"]) + epsilon)
    del trunk[name]
    trunk[name.removesuffix("_bn")] = {
      # Features are the last axis of every kernel.
      "kernel": trunk[name.removesuffix("_bn")]["kernel"] * gain,
      "bias": bias - statistics["mean"] * gain,
    }
  return {"params": {**params, TRUNK: trunk}, "batch_stats": stats}
