"""Times training steps of the best recipe beside the processor's peak.

The recipe is configs/fer2013_best.py at the sizes that its studies use. Its
operations are those of the program before it is optimised: of its convolutions,
and of the rest of the step.
"""

import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from pattlite_jax.benchmark import ours, summary, work
from pattlite_jax.config import files as config_files
from pattlite_jax.training import setup

# Pixels a side, and what else has to fit them.
SIZES: Mapping[int, Mapping[str, Any]] = {
  48: {"stem_stride": 1, "patch_stride": 1},
  64: {"patch_stride": 1},
  112: {},
}
_SIDE = 2048  # Of the square matrices whose product takes the peak's time.


def measure(*, rounds: int, seconds: float) -> dict[str, Any]:
  """Returns the peak, and figures of a step at each size, timed in turns.

  {"peak_flop_per_second", "steps": [{"image_size", "batch_size", "ms",
  "ms_low", "ms_high", "images_per_second", "flop", "share_of_peak"}]}.
  """
  matrix = jnp.ones((_SIDE, _SIDE))
  product = jax.jit(jnp.matmul)
  configs = {size: _config(size) for size in SIZES}
  steps = {size: _step(config) for size, config in configs.items()}
  runs: dict[int, work.Once] = {0: lambda: product(matrix, matrix)}
  runs |= {size: once for size, (once, _) in steps.items()}
  times = _in_turns(runs, rounds, seconds)
  peak = 2 * _SIDE**3 / float(np.median(times[0]))
  found = []
  for size, (_, flop) in steps.items():
    taken, images = summary.of_seconds(times[size]), configs[size].batch_size
    a_second = 1e3 / taken["ms"]
    figures = {
      "image_size": size,
      "batch_size": images,
      **taken,
      "images_per_second": images * a_second,
      "flop": flop,
      "share_of_peak": flop * a_second / peak,
    }
    found.append(figures)
  return {"peak_flop_per_second": peak, "steps": found}


def _config(size: int) -> ml_collections.ConfigDict:
  config = config_files.load("fer2013_best")
  config.model.image_size = size
  config.model.update(SIZES[size])
  return config


def _step(config: ml_collections.ConfigDict) -> tuple[work.Once, float]:
  """Returns what takes a step, compiled, and its operations."""
  # FER2013's are grey.
  faces = work.draw_faces(config.batch_size, work.FACE_SIZE, channels=1)
  variables = setup.init_variables(config, len(faces.class_names))
  side = ours.Side(work.Work(config, variables))
  once = side.train_step("stage1", faces)
  jax.block_until_ready(once())
  return once, side.flop("stage1", faces)


def _in_turns(
  runs: Mapping[int, work.Once], rounds: int, seconds: float
) -> dict[int, list[float]]:
  """Returns the seconds of one call of each, in each round."""
  times: dict[int, list[float]] = {name: [] for name in runs}
  for run in runs.values():
    jax.block_until_ready(run())
  for _ in range(rounds):
    for name, run in runs.items():
      start, calls = time.perf_counter(), 0
      while calls == 0 or time.perf_counter() - start < seconds:
        jax.block_until_ready(run())
        calls += 1
      times[name].append((time.perf_counter() - start) / calls)
  return times
