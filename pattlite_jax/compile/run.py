"""From a config and a slice to the figures of the programs."""

from collections.abc import Callable, Sequence
from typing import Any

import ml_collections
from absl import logging

from pattlite_jax import config as config_lib
from pattlite_jax.compile import estimate, fit, slices, stand_in
from pattlite_jax.compile import programs as programs_lib
from pattlite_jax.runtime.errors import UserError

Compile = Callable[[int], programs_lib.Program]  # Of a number of images a chip.


def compile_all(
  config: ml_collections.ConfigDict,
  where: slices.Slice,
  *,
  stage: str,
  programs: Sequence[str],
) -> dict[str, Any]:
  """Returns the figures of each of the programs "train" and "predict".

  Raises:
    UserError: for a config that no run can have, or a batch that the chips
      cannot share; for a program that does not fit, with the largest that does.
  """
  config_lib.check(config)
  config = config.copy_and_resolve_references()
  chips = len(where.devices)
  images, rest = divmod(config.batch_size, chips)
  if rest:
    raise UserError(
      f"The batch size is {config.batch_size}, which {chips} chips cannot "
      "share equally; make it a multiple of their number: --batch_size."
    )
  compilers = _compilers(config, where, stage)
  found = {}
  for name in programs:
    label = f"train step, {stage}" if name == "train" else "prediction"
    logging.info("Compiling the %s for %s.", label, where.name)
    program = _fitting(compilers[name], where, images, label)
    found[label] = estimate.figures(program, where.chip, images, chips)
  return {
    "topology": where.name,
    "chips": chips,
    "hosts": where.hosts,
    "images_a_chip": images,
    "method": config.method,
    "dtype": config.model.dtype,
    "image_size": config.model.image_size,
    "programs": found,
  }


def _compilers(
  config: ml_collections.ConfigDict, where: slices.Slice, stage: str
) -> dict[str, Compile]:
  train = stand_in.training_images(config)
  return {
    "train": lambda images: programs_lib.compile_train(
      config, stage, train, where.devices, images
    ),
    "predict": lambda images: programs_lib.compile_predict(
      config, train, where.devices, images
    ),
  }


def _fitting(
  compile_for: Compile, where: slices.Slice, images: int, label: str
) -> programs_lib.Program:
  """Returns the program, or raises UserError that says what would fit."""
  try:
    return compile_for(images)
  except programs_lib.OutOfMemoryError as error:
    needed = error.num_bytes
  logging.info("Out of memory; looking for the largest batch that fits.")

  def total_bytes(images):
    return estimate.memory(compile_for(images).compiled, where.chip)["total"]

  most = fit.largest(total_bytes, images, needed, where.chip.memory)
  advice = "not even one image a chip fits."
  if most:
    batch = most * len(where.devices)
    advice = f"about {most:,} images a chip fit: --batch_size={batch}."
  raise UserError(
    f"The {label} of {images:,} images a chip needs "
    f"{needed / 2**30:.2f} GiB of a chip of {where.name}, which has "
    f"{where.chip.memory / 2**30:.2f} GiB; {advice}"
  )
