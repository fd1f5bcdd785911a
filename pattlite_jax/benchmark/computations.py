"""The measurements of all sides at all batch sizes, and their ratios."""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from absl import logging

from pattlite_jax.benchmark import bandwidth, input_pipeline, workers
from pattlite_jax.benchmark.work import STAGES

# Packages that a peer needs.
_NEEDS = {
  "keras": ("keras", "tensorflow"),
  "torch": ("torch",),
  "torch_compile": ("torch",),
  "onnxruntime": ("onnxruntime", "onnxscript", "torch"),
}
# The largest difference of a probability; bf16 keeps 8 bits, and cuDNN and XLA
# round to them in other places: 0.03 on a GPU.
_SAME = {"float32": 1e-4, "bfloat16": 5e-2}


def installed(peers: Sequence[str]) -> list[str]:
  """Returns the peers whose packages are here, and names the others."""
  found = []
  for peer in peers:
    missing = [p for p in _NEEDS[peer] if importlib.util.find_spec(p) is None]
    if missing:
      logging.warning("%s is left out: no %s.", peer, " and ".join(missing))
    else:
      found.append(peer)
  return found


def measure(
  what: Sequence[str],
  batch_sizes: Sequence[int],
  peers: Sequence[str],
  *,
  dtype: str,
  steps_per_dispatch: int,
  rounds: int,
  seconds: float,
  keep: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
  """Returns {"computations": {"forward" or stage: entries}, "input": entries}.

  An entry is the measurement at one batch size: milliseconds by side, and our
  time over the faster peer's ("ratio") and over ONNX Runtime's. `keep` is given
  the result so far after each entry: the next may take minutes to compile.
  """
  stages = list(STAGES) if "train_step" in what or "input" in what else []
  kinds = (["forward"] if "forward" in what else []) + stages
  sides = [workers.OURS, *peers]
  timing = {"rounds": rounds, "seconds": seconds}
  found: dict[str, Any] = {kind: [] for kind in kinds}
  result: dict[str, Any] = {"computations": found}
  floors = _floors()
  if floors:
    result["device_bytes_per_second"] = floors
  with workers.open_workers(sides, dtype, steps_per_dispatch) as opened:
    for kind in kinds:
      for size in batch_sizes:
        if kind != "forward" and size < 2:
          continue
        logging.info("%s, batch size %d", kind, size)
        entry = _entry(opened, kind, size, timing, dtype, steps_per_dispatch)
        if floors:
          floor = bandwidth.floor_ms(kind, size, dtype, floors)
          entry["bandwidth_floor_ms"] = floor
          entry["bandwidth_share"] = floor / entry[workers.OURS]["ms"]
        found[kind].append(entry)
        timed = [side for side in opened if side in entry]
        logging.info("ms: %s", {side: entry[side]["ms"] for side in timed})
        keep(result)
  if "input" in what:
    result["input"] = [_input(entry, timing) for entry in found["stage1"]]
  return result


def _entry(
  opened: dict[str, workers.Worker],
  kind: str,
  size: int,
  timing: dict,
  dtype: str,
  steps_per_dispatch: int,
) -> dict[str, Any]:
  sides = {
    name: worker
    for name, worker in opened.items()
    if kind == "forward" or name != "onnxruntime"  # It does not train.
  }
  answers = {name: side.prepare(kind, size) for name, side in sides.items()}
  if kind == "forward":
    require_same(answers, _SAME[dtype])
  times = workers.measure(sides, **timing)
  if kind != "forward":  # A call of ours takes several steps.
    for name, value in times[workers.OURS].items():
      times[workers.OURS][name] = value / steps_per_dispatch
  entry: dict[str, Any] = {"batch_size": size, **times}
  ours = times[workers.OURS]["ms"]
  trainable = [
    times[name]["ms"]
    for name in times
    if name not in (workers.OURS, "onnxruntime")
  ]
  if trainable:
    entry["ratio"] = ours / min(trainable)
  if "onnxruntime" in times:
    entry["onnxruntime_ratio"] = ours / times["onnxruntime"]["ms"]
  return entry


def require_same(
  probabilities: dict[str, np.ndarray], tolerance: float
) -> None:
  """Raises ValueError unless all sides computed the same network."""
  ours = probabilities[workers.OURS]
  for name, theirs in probabilities.items():
    difference = float(np.abs(theirs - ours).max())
    if difference > tolerance:
      raise ValueError(
        f"{name} computes another network: probabilities differ by "
        f"{difference:.2g}."
      )


def _input(entry: dict[str, Any], timing: dict) -> dict[str, Any]:
  """Compares the input pipeline with the fastest step that eats from it."""
  size, step = entry["batch_size"], entry[workers.OURS]["ms"]
  times = input_pipeline.milliseconds(size, **timing)
  return {
    "batch_size": size,
    "input": times,
    "images_per_second": 1e3 * size / times["ms"],
    "step_images_per_second": 1e3 * size / step,
    "headroom": step / times["ms"],
  }


def _floors() -> float | None:
  """Returns an accelerator's bytes per second; None on a CPU."""
  if jax.default_backend() == "cpu":
    return None
  return bandwidth.measure_bytes_per_second()
