"""Times a training step of several methods, in turns, and counts parameters.

python -m pattlite_jax.benchmark.methods --config configs/fer2013_bench.py \
  --variants '{"dan": {"method": "dan"}}' --json F

Each variant is a config's fields that differ. All take steps on the same images
of noise, a few at a time, so that what else the machine does slows each alike.
"""

import dataclasses
import json
import math
import time
from collections.abc import Mapping
from typing import Any

import jax
import ml_collections
from absl import app, flags

from pattlite_jax import methods
from pattlite_jax.benchmark import ours, summary, work
from pattlite_jax.config import files as config_files
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime import durable, errors, output, provenance
from pattlite_jax.training import setup

ROUNDS, STEPS = 15, 2  # Of each method in a round.


def measure(
  config: ml_collections.ConfigDict, variants: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, float | int]]:
  """Returns {name: {"parameters", "ms", "ms_low", "ms_high"}}, ms of a step."""
  found, steps = {}, {}
  for name, fields in variants.items():
    own = ml_collections.ConfigDict(config.to_dict())
    own.update_from_flattened_dict(dict(fields))
    found[name], steps[name] = _prepare(own)
    print(f"compiled {name}", flush=True)  # Each takes a minute.
  seconds: dict[str, list[float]] = {name: [] for name in steps}
  for _ in range(ROUNDS):
    for name, once in steps.items():
      start = time.perf_counter()
      jax.block_until_ready([once() for _ in range(STEPS)])
      seconds[name].append((time.perf_counter() - start) / STEPS)
  return {
    name: {"parameters": count, **summary.of_seconds(seconds[name])}
    for name, count in found.items()
  }


def _prepare(config: ml_collections.ConfigDict) -> tuple[int, work.Once]:
  """Returns the parameters and what takes a step, which is compiled."""
  faces = work.draw_faces(config.batch_size, work.FACE_SIZE)
  grey = faces.images[:][..., :1]  # As FER2013's.
  faces = dataclasses.replace(faces, images=grey)
  faces = examples_lib.numbered(faces)  # For what corrects their labels.
  params = methods.build(config, len(faces.class_names)).shapes["params"]
  variables = setup.init_variables(config, len(faces.class_names))
  once = ours.Side(work.Work(config, variables)).train_step("stage1", faces)
  jax.block_until_ready(once())
  return sum(math.prod(x.shape) for x in jax.tree.leaves(params)), once


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  for name, text in (
    ("config", "The recipe that all variants start from."),
    ("variants", "JSON: the fields of each variant by its name."),
    ("json", "The file to write."),
  ):
    flags.DEFINE_string(name, None, text, required=True, flag_values=values)


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Measures, and writes --json."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  with errors.in_one_line():
    config = config_files.load(given.config)
    found = measure(config, json.loads(given.variants))
    path = durable.named(given.json)
    path.parent.mkdir(parents=True, exist_ok=True)
    result = {"steps": found} | provenance.environment()
    path.write_text(json.dumps(result, indent=1) + "\n")
  for name, figures in found.items():
    print(f"{name:<24}{figures['parameters']:>12,}{figures['ms']:>10.1f} ms")


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main)
