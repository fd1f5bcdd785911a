"""Sizes and latencies of a shipped network's exported files, beside JAX.

All run in this process, in turns, each in its own runtime with its default
number of threads.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from pattlite_jax import trained
from pattlite_jax.benchmark import summary
from pattlite_jax.data.examples import Examples
from pattlite_jax.export import check, int8, onnx_file, stablehlo_file
from pattlite_jax.export import write as export
from pattlite_jax.export.networks import Run
from pattlite_jax.predict.classifier import Classifier

_FILES: tuple[tuple[str, dict[str, str]], ...] = (
  ("onnx", {"precision": "float32"}),
  ("onnx", {"precision": "float16"}),
  ("onnx", {"precision": "int8"}),
  ("tflite", {"precision": "float32"}),
  ("tflite", {"precision": "float16"}),
  ("stablehlo", {"lowering": "auto"}),
  ("stablehlo", {"lowering": "plain"}),
)


def measure(
  batch_sizes: Sequence[int],
  *,
  rounds: int,
  seconds: float,
  model: str = "ferplus",
) -> list[dict[str, Any]]:
  """Returns an entry a file, and one of JAX, the first.

  {"file": ..., "bytes": ..., "largest_difference": ...,
   "times": [{"batch_size": ..., "ms": ..., "ms_low": ..., "ms_high": ...}]}
  """
  network = trained.load(model)
  runs: list[Run] = [Classifier(network)]
  entries: list[dict[str, Any]] = [{"file": "JAX, load()"}]
  for file_format, options in _FILES:
    content, said = _content(network, file_format, options)
    runs.append(_opened(file_format)(content))
    entries.append(
      {
        "file": " ".join([file_format, *options.values()]),
        "bytes": len(content),
        "largest_difference": said["largest_difference"],
      }
    )
  faces = check.drawn_faces(network)
  for size in batch_sizes:
    batch = faces[np.arange(size) % len(faces)]
    times = _in_turns(runs, batch, rounds=rounds, seconds=seconds)
    for entry, values in zip(entries, times, strict=True):
      entry.setdefault("times", []).append(
        {"batch_size": size, **summary.of_seconds(values)}
      )
  return entries


def _content(
  network: trained.Trained, file_format: str, options: dict[str, str]
) -> tuple[bytes, dict[str, Any]]:
  """Returns a file and what it says; int8 is calibrated on drawn faces."""
  if options.get("precision") != "int8":
    return export.content_of(network, file_format, **options)
  images = check.drawn_faces(network)
  labels = np.zeros(len(images), np.int32)
  ids = np.arange(len(images)).astype(str)
  drawn = Examples(images, labels, ids, network.class_names)
  float32 = onnx_file.content(check.in_float32(network))
  content, _ = int8.content(float32, int8.Faces(drawn, drawn), largest_fall=1.0)
  difference = check.largest_difference(network, onnx_file.opened(content))
  return content, {"largest_difference": difference}


def _opened(file_format: str):
  if file_format == "tflite":
    from pattlite_jax.export import tflite_file

    return tflite_file.opened
  return {"onnx": onnx_file, "stablehlo": stablehlo_file}[file_format].opened


def _in_turns(
  runs: Sequence[Run], batch: np.ndarray, *, rounds: int, seconds: float
) -> list[list[float]]:
  """Returns the seconds of one call, `rounds` times for each."""
  counts = []
  for run in runs:
    _seconds(run, batch, 2)  # Compiles, and settles memory.
    counts.append(max(1, round(seconds / _seconds(run, batch, 1))))
  times: list[list[float]] = [[] for _ in runs]
  for _ in range(rounds):
    for run, count, kept in zip(runs, counts, times, strict=True):
      kept.append(_seconds(run, batch, count))
  return times


def _seconds(run: Run, batch: np.ndarray, count: int) -> float:
  start = time.perf_counter()
  for _ in range(count):
    run(batch)
  return (time.perf_counter() - start) / count
