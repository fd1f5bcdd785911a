"""From a prepared copy to splits: in memory, or on disk if they are large."""

import dataclasses
import json
from typing import Any

import numpy as np
from absl import logging

from pattlite_jax.data import examples_check, prepared_index, streamed
from pattlite_jax.data.examples import Examples, in_memory
from pattlite_jax.data.examples_check import SPLITS
from pattlite_jax.data.prepared_index import Index
from pattlite_jax.runtime import host_memory
from pattlite_jax.runtime.errors import FileError

SKIPPED = "skipped.json"  # {split: [why a picture was left out]}
SHARE = 0.25  # Of the host's memory, for images.


def read(
  builder: Any, *, image_size: int, memory_gb: float, skip_bad: bool
) -> dict[str, Examples]:
  """Returns all splits of a prepared copy, and checks what they hold.

  Images that differ in size become `image_size` x `image_size`. All are in
  memory if they take at most `memory_gb`; 0 is a quarter of the host's. With
  `skip_bad`, those are left out that could not be read.

  Raises:
    FileError: for a picture that was left out, or is damaged, without
      `skip_bad`; names it.
    ValueError and others: if the copy is damaged.
  """
  indices = {k: prepared_index.open_or_make(builder, k) for k in SPLITS}
  shape = _image_shape(builder, list(indices.values()), image_size)
  splits = {
    split: _streamed(builder, index, shape) for split, index in indices.items()
  }
  examples_check.check_alike(splits, "it")
  splits = _without_bad(builder, splits, skip_bad)
  size = sum(own.images.nbytes for own in splits.values())
  if size <= (memory_gb * 1e9 or SHARE * host_memory.total()):
    return {split: in_memory(own) for split, own in splits.items()}
  return splits


def _image_shape(
  builder: Any, indices: list[Index], image_size: int
) -> tuple[int, int, int]:
  """Returns the shape in which all images are read.

  Raises:
    ValueError: if an image has not the size that the builder states.
  """
  *stated, channels = builder.info.features["image"].shape
  sizes = np.unique(np.concatenate([own.sizes for own in indices]), axis=0)
  if None not in stated:
    if len(sizes) and sizes.tolist() != [stated]:
      raise ValueError(f"it has images of {sizes.tolist()}, not {stated}")
    return (*stated, channels)
  height, width = sizes[0].tolist() if len(sizes) == 1 else [image_size] * 2
  if builder.MAY_BE_GREY and not any(own.coloured for own in indices):
    channels = 1
  return (height, width, channels)


def _streamed(
  builder: Any, index: Index, image_shape: tuple[int, int, int]
) -> Examples:
  channels = builder.info.features["image"].shape[-1]
  images = streamed.of_index(index, image_shape, channels=channels)
  return examples_check.checked(
    images,
    index.labels,
    index.ids,
    builder.CLASS_NAMES,
    index.targets if builder.HAS_TARGETS else None,
    f"{index.split}:",
  )


def _without_bad(
  builder: Any, splits: dict[str, Examples], skip_bad: bool
) -> dict[str, Examples]:
  """Returns the splits without bad pictures, noting and saying which."""
  path = builder.data_path / SKIPPED
  left_out = json.loads(path.read_text()) if path.exists() else {}
  if not skip_bad:
    for reasons in left_out.values():
      raise FileError(
        f"{reasons[0]} It was left out when the data set was prepared, with "
        f"{sum(map(len, left_out.values())) - 1} others.",
        setting="data.on_bad_image",
      )
    return splits
  return {
    split: _sound(split, own, left_out.get(split, []))
    for split, own in splits.items()
  }


def _sound(split: str, examples: Examples, left_out: list[str]) -> Examples:
  """Returns the images whose bytes are whole; reads all of them."""
  images = examples.images
  assert isinstance(images, streamed.StreamedImages)
  sound = images.sound()
  damaged = [f"{name}: damaged on disk" for name in examples.ids[~sound]]
  skipped = (*left_out, *damaged)
  for reason in skipped:
    logging.warning("%s: left out: %s", split, reason)
  return dataclasses.replace(
    examples.take(np.flatnonzero(sound)), skipped=skipped
  )
