"""A network as StableHLO, by `jax.export`, for CPUs, CUDA and TPUs.

To use a file, with nothing installed but jax and flatbuffers:
  network = jax.export.deserialize(pathlib.Path(F).read_bytes())
  probabilities = jax.jit(network.call)(faces)  # uint8 [B, H, W, C], any B
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, UInt8

from pattlite_jax.export.networks import Run
from pattlite_jax.trained import Trained

LOWERINGS = ("auto", "plain")
PLATFORMS = ("cpu", "cuda", "tpu")


def content(network: Trained, lowering: str = "auto") -> bytes:
  """Returns the bytes of a file that JAX calls on any of `PLATFORMS`.

  `lowering` is "auto", which has a branch for each platform and is several
  times as fast on CPUs, or "plain", which has no branch at all, for programs
  other than JAX that read StableHLO.
  """
  assert network.image_shape
  (batch,) = jax.export.symbolic_shape("batch")
  faces = jax.ShapeDtypeStruct((batch, *network.image_shape), jnp.uint8)
  function = jax.jit(_probabilities_of(network, lowering))
  if lowering == "auto":
    export = jax.export.export(function, platforms=PLATFORMS)
  else:  # JAX itself would branch on several, for what is the same on all.
    any_platform = jax.export.DisabledSafetyCheck.platform()
    export = jax.export.export(
      function, platforms=PLATFORMS[:1], disabled_checks=[any_platform]
    )
  return bytes(export(faces).serialize())


def opened(content: bytes) -> Run:
  """Returns the file as a function of faces; each batch size compiles anew."""
  call = jax.jit(jax.export.deserialize(bytearray(content)).call)
  return lambda faces: np.asarray(call(faces))


def _probabilities_of(
  network: Trained, lowering: str
) -> Callable[[UInt8[Array, "B H W C"]], Float[Array, "B K"]]:
  """Returns faces -> probabilities, each face alone."""
  method = network.method
  variables = jax.jit(method.fold)(network.variables)

  def probabilities(faces):
    mask = jnp.ones(faces.shape[0], bool)
    # GPUs and TPUs would round the factors, by 1e-3 of a probability.
    with (
      nn.intercept_methods(functools.partial(_lowered, lowering)),
      jax.default_matmul_precision("highest"),
    ):
      logits = method.logits(
        method.alone, variables, method.prepare(faces), mask
      )
    return jax.nn.softmax(logits)

  return probabilities


def _lowered(lowering, next_call, args, kwargs, context):
  """Has every convolution that can choose its lowering take this one."""
  module = context.module
  if getattr(module, "lowering", lowering) == lowering:
    return next_call(*args, **kwargs)
  other = module.clone(parent=module.scope, lowering=lowering)
  return getattr(other, context.method_name)(*args, **kwargs)
