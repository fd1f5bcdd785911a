"""The images of one split, and the orders they are read in.

Free of TensorFlow: the training order is plain NumPy, so that every input path
(tf.data, or arrays already on a device) sees the same images at the same step.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float32, Int, UInt8

from pattlite_jax.data import sampling, streamed
from pattlite_jax.data.streamed import StreamedImages
from pattlite_jax.runtime.errors import UserError

# In memory, or read from disk by images[rows]; C is 1 (grey) or 3 (RGB).
Images = UInt8[np.ndarray, "N H W C"] | UInt8[StreamedImages, "N H W C"]


@dataclasses.dataclass(frozen=True)
class Examples:
  """A split: N images of one size, with labels, ids and the class names."""

  images: Images
  labels: Int[np.ndarray, "N"]  # i32, an index into `class_names`.
  ids: np.ndarray  # str[N], stable names such as "Training-00017".
  class_names: tuple[str, ...]
  # Shares of the classes, which add up to 1, to train on in place of `labels`.
  targets: Float32[np.ndarray, "N K"] | None = None
  # What else a method reads of each image, [N, ...], by its name in a batch.
  annotations: Mapping[str, np.ndarray] = dataclasses.field(
    default_factory=dict
  )
  sampling: str = "shuffle"  # How an epoch of training visits them.
  skipped: tuple[str, ...] = ()  # Why bad pictures of the split were left out.

  def __len__(self) -> int:
    return len(self.labels)

  def take(self, indices: Int[np.ndarray, "M"]) -> "Examples":
    """Returns the examples at `indices`, in that order."""
    return dataclasses.replace(
      self,
      images=self.images.take(indices, axis=0),
      labels=self.labels[indices],
      ids=self.ids[indices],
      targets=None if self.targets is None else self.targets[indices],
      annotations={k: v[indices] for k, v in self.annotations.items()},
    )


def joined(first: Examples, second: Examples) -> Examples:
  """Returns the examples of two splits of a set, both in memory, as one."""
  assert first.class_names == second.class_names
  targets = None
  if first.targets is not None and second.targets is not None:
    targets = np.concatenate([first.targets, second.targets])
  return dataclasses.replace(
    first,
    images=np.concatenate([first.images[:], second.images[:]]),
    labels=np.concatenate([first.labels, second.labels]),
    ids=np.concatenate([first.ids, second.ids]),
    targets=targets,
    annotations={
      name: np.concatenate([array, second.annotations[name]])
      for name, array in first.annotations.items()
    },
    skipped=first.skipped + second.skipped,
  )


def numbered(examples: Examples) -> Examples:
  """Returns the examples with their places, "row" i32[N], among them."""
  rows = np.arange(len(examples), dtype=np.int32)
  return dataclasses.replace(
    examples, annotations={**examples.annotations, "row": rows}
  )


def in_memory(examples: Examples) -> Examples:
  """Returns the examples with all images in memory."""
  return dataclasses.replace(examples, images=examples.images[:])


def mirrored(examples: Examples) -> Examples:
  """Returns the examples with left and right of each image exchanged."""
  images = examples.images
  if isinstance(images, StreamedImages):
    return dataclasses.replace(examples, images=images.mirrored())
  return dataclasses.replace(examples, images=images[:, :, ::-1])


def unlabelled(
  images: UInt8[np.ndarray, "N H W C"], class_names: tuple[str, ...]
) -> Examples:
  """Returns images to predict; their labels, all 0, mean nothing."""
  ids = np.arange(len(images)).astype(str)
  return Examples(images, np.zeros(len(images), np.int32), ids, class_names)


def class_counts(examples: Examples) -> Int[np.ndarray, "K"]:
  """Returns how many examples each class has."""
  return np.bincount(examples.labels, minlength=len(examples.class_names))


def require_every_class(examples: Examples, needed_by: str) -> None:
  """Raises UserError that names the classes without examples, if any."""
  absent = [
    name
    for name, count in zip(
      examples.class_names, class_counts(examples), strict=True
    )
    if not count
  ]
  if absent:
    raise UserError(
      f"{needed_by} needs training images of every class, but there are none "
      f"of {', '.join(absent)}; add some, or choose another value."
    )


def fingerprint(examples: Examples) -> str:
  """Returns a hash that changes with any id, class or array of an image."""
  digest = hashlib.sha256()
  digest.update(json.dumps(examples.ids.tolist()).encode())
  digest.update(json.dumps(examples.class_names).encode())
  digest.update(examples.labels.astype("<i4").tobytes())
  digest.update(streamed.digests(examples.images).tobytes())
  if examples.targets is not None:
    digest.update(examples.targets.astype("<f4").tobytes())
  for name, array in sorted(examples.annotations.items()):
    digest.update(name.encode())
    digest.update(array.tobytes())
  shape = "x".join(map(str, examples.images.shape))
  return f"{shape}, sha256 of each {digest.hexdigest()[:16]}"


def reorder(examples: Examples, order: str, seed: int) -> Examples:
  """Returns the examples in one of `config.ORDERS`, see `rows_in_order`."""
  return examples.take(rows_in_order(examples, order, seed))


def rows_in_order(
  examples: Examples, order: str, seed: int
) -> Int[np.ndarray, "N"]:
  """Returns the examples' rows in one of `config.ORDERS`.

  `official` is that of the data set. `class_sorted` is the order of the
  published test files: one class folder after the other, by alphabet.
  `shuffled` is a permutation drawn from the seed.
  """
  if order == "official":
    return np.arange(len(examples))
  if order == "class_sorted":
    by_alphabet = np.argsort(np.argsort(examples.class_names))
    return np.argsort(by_alphabet[examples.labels], kind="stable")
  assert order == "shuffled", order
  return sampling.epoch_order(len(examples), seed=seed, epoch=0)


def epoch_rows(
  examples: Examples, *, seed: int, epoch: int
) -> Int[np.ndarray, "M"]:
  """Returns which examples an epoch visits, in order; see `sampling`."""
  return sampling.epoch_rows(
    examples.labels, examples.sampling, seed=seed, epoch=epoch
  )


def epoch_size(examples: Examples) -> int:
  """Returns how many examples an epoch visits, repeated ones counted."""
  return sampling.epoch_size(examples.labels, examples.sampling)


def batch_rows(
  examples: Examples, *, batch_size: int, seed: int, step: int
) -> Int[np.ndarray, "b"]:
  """Returns which examples a training step takes; `step` counts from 0."""
  epoch, batch = divmod(step, steps_per_epoch(epoch_size(examples), batch_size))
  order = epoch_rows(examples, seed=seed, epoch=epoch)
  return order[batch * batch_size : (batch + 1) * batch_size]


def steps_per_epoch(epoch_size: int, batch_size: int) -> int:
  """Returns the number of batches of an epoch; the last may be padded."""
  return -(-epoch_size // batch_size)


def eval_batches(
  examples: Examples,
  batch_size: int,
  *,
  padded_size: int,
  host: int = 0,
  num_hosts: int = 1,
) -> Iterator[dict[str, np.ndarray]]:
  """Yields this host's share of each batch, in order, every example once.

  Batches hold `batch_size` examples and are padded with masked rows to
  `padded_size`, so that devices can share them; the last may hold fewer.
  """
  for first in range(0, len(examples), batch_size):
    rows = np.full(padded_size, -1)
    rows[:batch_size] = np.arange(first, first + batch_size)
    yield gather(examples, host_share(rows, host, num_hosts))


def host_share(
  rows: Int[np.ndarray, "B"], host: int, num_hosts: int
) -> Int[np.ndarray, "b"]:
  """Returns the consecutive rows of a global batch that a host holds."""
  share = len(rows) // num_hosts
  return rows[host * share : (host + 1) * share]


def gather(
  examples: Examples, rows: Int[np.ndarray, "b"], *, encoded: bool = False
) -> dict[str, np.ndarray]:
  """Returns a batch; rows outside the examples are padding, masked.

  It has `targets` and annotations where the examples have them. With
  `encoded`, which images on disk alone allow, "image" is their files, not yet
  decoded, object[b] of bytes.
  """
  mask = (rows >= 0) & (rows < len(examples))
  rows = np.where(mask, rows, 0)
  images: Any = examples.images
  read = images.encoded if encoded else images.__getitem__
  batch = {
    "image": read(rows),
    "label": examples.labels[rows].astype(np.int32),
    "mask": mask,
    **{name: array[rows] for name, array in examples.annotations.items()},
  }
  if examples.targets is not None:
    batch["targets"] = examples.targets[rows]
  return batch
