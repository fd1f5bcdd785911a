"""The programs of a run, compiled for chips that are not there.

They are those that `training.dispatch` and `scoring.logits` map over devices:
nothing of a step is written twice.
"""

import dataclasses
import functools
import re
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import PyTree

from pattlite_jax import methods
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime import parallel
from pattlite_jax.scoring import logits as logits_lib
from pattlite_jax.training import dispatch, distillation, same_view, setup

# "Used 17.50G of 15.75G hbm", "required for ... (31.3G) exceeds available".
_NEEDED = re.compile(
  r"[Uu]sed (\d[\d.]*[KMGT]?) of|\((\d[\d.]*[KMGT]?)\) exceeds"
)


class OutOfMemoryError(Exception):
  """A program that needs more memory than a device has."""

  def __init__(self, num_bytes: int):
    super().__init__(f"The program needs {num_bytes:,} bytes a device.")
    self.num_bytes = num_bytes


@dataclasses.dataclass(frozen=True)
class Program:
  """A compiled program and how long its compilation took."""

  compiled: jax.stages.Compiled
  seconds: float


def compile_train(
  config: ml_collections.ConfigDict,
  stage: str,
  train: examples_lib.Examples,
  devices: Sequence[jax.Device],
  images: int,
) -> Program:
  """Compiles one training step on `images` images a device.

  Raises:
    OutOfMemoryError: if a device has too little memory.
    UserError, MissingFileError: as `distillation.load_teachers`.
  """
  teachers = _teachers(config, train.class_names)
  bound = setup.stage(config, stage, train, teachers=teachers)
  if bound.method.relabel is not None:
    train = examples_lib.numbered(train)
  state = jax.eval_shape(bound.start, bound.method.shapes)
  rows = np.zeros(images, np.int32)
  batch = _shapes(examples_lib.gather(train, rows), (len(devices), 1))
  key = jax.eval_shape(lambda: jax.random.key(config.seed))
  asked = jax.eval_shape(lambda: teachers.variables if teachers else ())
  shared = (key, asked)
  steps = parallel.pmap_train_step(dispatch.in_turn(bound.step), devices)
  return _compile(steps, state, batch, shared)


def _teachers(
  config: ml_collections.ConfigDict, class_names: tuple[str, ...]
) -> same_view.Teachers | None:
  """Returns the teachers that a step asks, if any."""
  fields = config.distillation
  if not fields.teachers or fields.view != "student":
    return None
  return same_view.make(
    distillation.load_teachers(fields.teachers),
    class_names,
    temperature=fields.temperature,
  )


def compile_predict(
  config: ml_collections.ConfigDict,
  train: examples_lib.Examples,
  devices: Sequence[jax.Device],
  images: int,
) -> Program:
  """Compiles the prediction of `images` images a device.

  Raises:
    OutOfMemoryError: if a device has too little memory.
  """
  method = methods.build(config, len(train.class_names))
  variables = jax.eval_shape(method.fold, method.shapes)
  rows = np.zeros(images, np.int32)
  batch = _shapes(examples_lib.gather(train, rows), (len(devices),))
  step = functools.partial(
    logits_lib.predict_step, method=method, network=method.network
  )
  predict = parallel.map_predict_step(step, devices)
  return _compile(predict, variables, batch)


def _shapes(
  batch: dict[str, np.ndarray], before: tuple[int, ...]
) -> dict[str, jax.ShapeDtypeStruct]:
  """Returns what a device's share of a batch is on all devices."""
  return {
    name: jax.ShapeDtypeStruct((*before, *x.shape), jnp.asarray(x).dtype)
    for name, x in batch.items()
  }


def _compile(mapped: Any, *arguments: PyTree) -> Program:
  with parallel.programs_for("tpu"):
    lowered = mapped.lower(*arguments)
  start = time.perf_counter()
  try:
    compiled = lowered.compile()
  except jax.errors.JaxRuntimeError as error:
    needed = bytes_needed(str(error))
    if needed is None:
      raise
    raise OutOfMemoryError(needed) from None
  return Program(compiled, time.perf_counter() - start)


def bytes_needed(text: str) -> int | None:
  """Returns the bytes of an error of XLA; None if it is not out of memory."""
  needed = _NEEDED.search(text)
  if "RESOURCE_EXHAUSTED" not in text or not needed:
    return None
  return _in_bytes(needed[1] or needed[2])


def _in_bytes(text: str) -> int:
  """Reads XLA's figures, such as 17.50G."""
  unit = " KMGT".find(text[-1])
  return int(float(text[:-1]) * 1024**unit) if unit > 0 else int(float(text))
