"""How fast single images are fetched from disk, in three ways, not decoded."""

import importlib.util
import os
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pattlite_jax.data.source import DataSource

_IMAGES, _BATCH, _SECONDS = 5000, 128, 3.0


def images_per_second(source: DataSource) -> dict[str, float]:
  """Returns images/s of one core, by the way in which they are fetched.

  The rows are drawn as training draws them, from at most `_IMAGES` of the set.
  """
  import tensorflow as tf

  os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
  images: Any = source.load()["train"].images
  some = np.arange(min(_IMAGES, len(images)))
  contents = images.encoded(some)
  with tempfile.TemporaryDirectory() as folder:
    paths = [f"{folder}/{row}.jpg" for row in some]
    for path, content in zip(paths, contents, strict=True):
      pathlib.Path(path).write_bytes(content)
    names = tf.constant(paths)
    read_files = tf.function(
      lambda rows: tf.map_fn(
        tf.io.read_file, tf.gather(names, rows), parallel_iterations=16
      )
    )
    ways = {
      "index into TFRecord": images.encoded,
      "tf.io.read_file": lambda rows: read_files(tf.constant(rows)).numpy(),
    }
    if importlib.util.find_spec("array_record"):  # TFDS brings it on Linux.
      path = f"{folder}/images.arrayrecord"
      ways["ArrayRecord"] = _array_record(path, contents)
    return {name: _speed(way, len(some)) for name, way in ways.items()}


def _array_record(path: str, contents: np.ndarray) -> Callable[..., Any]:
  """Returns a reader of an ArrayRecord of such files, as TFDS writes them."""
  from array_record.python import array_record_module

  writer = array_record_module.ArrayRecordWriter(path, "group_size:1")
  for content in contents:
    writer.write(content)
  writer.close()
  reader = array_record_module.ArrayRecordReader(
    path, options="readahead_buffer_size:0"
  )
  return lambda rows: reader.read(rows.tolist())


def _speed(fetch: Callable[..., Any], count: int) -> float:
  rng = np.random.default_rng(0)
  fetch(rng.integers(count, size=_BATCH))
  start, images = time.perf_counter(), 0
  while time.perf_counter() < start + _SECONDS:
    images += len(fetch(rng.integers(count, size=_BATCH)))
  return images / (time.perf_counter() - start)
