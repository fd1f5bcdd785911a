"""The least time that memory allows, for accelerators.

Counts each convolution's output, activated, as written once and read once in
the forward pass; in the backward pass it is read again, and its gradient
written and read once. Weights, small beside them, are left out.
"""

import time
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp

from pattlite_jax.benchmark import work
from pattlite_jax.models.mobilenet_v1 import MobileNetV1

_PASSES = {"forward": 2, "stage1": 2, "stage2": 5}


def activation_bytes(batch_size: int, dtype: str) -> int:
  """Returns the bytes of all activations of the trunk, the network's bulk."""
  size = work.IMAGE_SIZE
  images = jax.ShapeDtypeStruct((batch_size, size, size, 3), jnp.float32)
  model = MobileNetV1(dtype=jnp.dtype(dtype))
  _, state = jax.eval_shape(
    lambda x: model.init_with_output(
      jax.random.key(0), x, mutable=["params", "batch_stats", "intermediates"]
    ),
    images,
  )
  sown: Any = flax.traverse_util.flatten_dict(state["intermediates"])
  return sum(
    output.size * output.dtype.itemsize
    for path, (output,) in sown.items()
    if path[-1].endswith("_relu_output")
  )


def floor_ms(
  what: str, batch_size: int, dtype: str, bytes_per_second: float
) -> float:
  """Returns the milliseconds that the bytes of `what` take."""
  moved = _PASSES[what] * activation_bytes(batch_size, dtype)
  return 1e3 * moved / bytes_per_second


def measure_bytes_per_second(num_bytes: int = 2**30) -> float:
  """Returns what the device reads and writes a second in a plain copy."""
  x = jnp.zeros(num_bytes // 4)
  copy = jax.jit(lambda x: x + 1)
  copy(x).block_until_ready()
  times = []
  for _ in range(10):
    start = time.perf_counter()
    copy(x).block_until_ready()
    times.append(time.perf_counter() - start)
  return 2 * num_bytes / min(times)
