"""A made set of JPEGs from file to batch: prepared, then read with some cores.

Each measurement has a process of its own, which starts as a run starts. The
files were just written, so the system has them in memory: what is measured is
the work of the processor, not the disk.
"""

import concurrent.futures
import dataclasses
import io
import itertools
import multiprocessing
import os
import pathlib
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import PIL.Image

from pattlite_jax.benchmark import input_files
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import prepared_read
from pattlite_jax.data.source import DataSource
from pattlite_jax.runtime import host_memory

_DISTINCT = 500  # Pictures; the others have the bytes of one of them.
_CLASSES = 7
_NOISE = 8  # Levels: a JPEG takes 11 kB then, as an aligned photograph.
_NO_MEMORY = 1e-9  # GB
_WARM = 5  # Batches before the clock starts.


def measure(
  counts: Sequence[int], size: int, batch_size: int, seconds: float
) -> list[dict[str, Any]]:
  """Returns a measurement of a set of each number of images, `size` pixels."""
  return [_of_count(n, size, batch_size, seconds) for n in counts]


def _of_count(
  count: int, size: int, batch_size: int, seconds: float
) -> dict[str, Any]:
  with tempfile.TemporaryDirectory() as folder:
    jpegs, copy = f"{folder}/faces", f"{folder}/prepared"
    jpeg_bytes = write(pathlib.Path(jpegs), count, size)
    source = DataSource("folders", jpegs, copy, size, memory_gb=_NO_MEMORY)
    entry = {
      "images": count,
      "size": size,
      "batch_size": batch_size,
      "jpeg_bytes": jpeg_bytes,
      "prepared": _alone(_prepare, source),
      "readers": [],
    }
    in_memory = dataclasses.replace(source, memory_gb=0.0)
    fits = 3 * count * size**2 < prepared_read.SHARE * host_memory.total()
    for own in (in_memory, source) if fits else (source,):
      entry["readers"] += [
        _alone(_read, own, cores, batch_size, seconds) for cores in (1, 2)
      ]
    entry["random_access"] = _alone(input_files.images_per_second, source)
    return entry


def _alone(call: Callable[..., Any], *arguments: Any) -> Any:
  """Returns what a call returns in a process of its own."""
  with concurrent.futures.ProcessPoolExecutor(
    1, multiprocessing.get_context("spawn")
  ) as pool:
    return pool.submit(call, *arguments).result()


def write(folder: pathlib.Path, count: int, size: int) -> int:
  """Writes class folders with `count` images to train on; returns their bytes.

  They are coarse squares with noise. Validation and test have one of a class.
  """
  drawn, total = [], 0
  rng = np.random.default_rng(0)
  for _ in range(min(count, _DISTINCT)):
    coarse = rng.integers(0, 256, (8, 8, 3), np.uint8)
    picture = PIL.Image.fromarray(coarse).resize((size, size))
    noise = rng.integers(-_NOISE, _NOISE, (size, size, 1))
    pixels = np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "jpeg", quality=90)
    drawn.append(file.getvalue())
  for split, number in (
    ("train", count),
    ("val", _CLASSES),
    ("test", _CLASSES),
  ):
    for label in range(_CLASSES):
      (folder / split / str(label)).mkdir(parents=True)
    for k in range(number):
      content = drawn[k % len(drawn)]
      (folder / split / str(k % _CLASSES) / f"{k}.jpg").write_bytes(content)
      total += len(content)
  return total


def _prepare(source: DataSource) -> dict[str, float]:
  """Returns seconds until a set can be read, and what it takes on disk."""
  start, cpu = time.perf_counter(), time.process_time()
  train = source.load()["train"]
  examples_lib.fingerprint(train)
  seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
  copies = pathlib.Path(source.prepared_dir).rglob("*")
  return {
    "seconds": seconds,
    "images_per_second": len(train) / seconds,
    "images_per_core_second": len(train) / cpu,
    "bytes": sum(path.stat().st_size for path in copies if path.is_file()),
  }


def _read(
  source: DataSource, cores: int, batch_size: int, seconds: float
) -> dict[str, Any]:
  """Returns the speed of training batches on some cores, and the memory."""
  os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
  from pattlite_jax.data import pipeline

  start = time.perf_counter()
  train = source.load()["train"]
  examples_lib.fingerprint(train)
  batches = pipeline.train_batches(
    train, batch_size=batch_size, seed=0, first_step=0
  )
  next(batches)
  started = time.perf_counter() - start
  for _ in itertools.islice(batches, _WARM):
    pass
  start, cpu, images = time.perf_counter(), time.process_time(), 0
  while time.perf_counter() < start + seconds:
    images += len(next(batches)["label"])
  wall, cpu = time.perf_counter() - start, time.process_time() - cpu
  return {
    "images_are": "in memory"
    if isinstance(train.images, np.ndarray)
    else "on disk",
    "cores": cores,
    "seconds_to_first_batch": started,
    "images_per_second": images / wall,
    "images_per_core_second": images / cpu,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
  }
