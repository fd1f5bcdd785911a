"""Images that occur twice, within a split and across splits.

Exact duplicates have the same pixels (SHA-256). Near duplicates have hashes of
64 bits that differ in few, and pixels that correlate. The hash is a dHash: the
image is averaged to 8 rows of 9 grey cells, and each bit says whether a cell is
brighter than the one to its left.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8, UInt64

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import image_progress, streamed
from pattlite_jax.data.streamed import StreamedImages
from pattlite_jax.scoring import metrics

# Chosen by eye on FER2013: below this correlation some pairs show two different
# photographs, above it none that was looked at; few such pairs differ in more
# bits.
MAX_HAMMING = 10
MIN_CORRELATION = 0.93
_COMPARED_SIZE = 48  # Pixels a side; larger images are averaged down to it.
_BLOCK = 1024  # Images or pairs at a time.


class Pairs(NamedTuple):
  """Pairs of duplicates among N images, the first before the second."""

  first: Int[np.ndarray, "P"]
  second: Int[np.ndarray, "P"]
  exact: Bool[np.ndarray, "P"]
  hamming: Int[np.ndarray, "P"]  # Bits in which the hashes differ.
  correlation: Float[np.ndarray, "P"]


def audit(splits: Mapping[str, examples_lib.Examples]) -> dict[str, Any]:
  """Finds and counts the duplicates of all splits; lists each pair."""
  splits = {name: split for name, split in splits.items() if len(split)}
  pairs = find_pairs(*(split.images for split in splits.values()))
  sizes = [len(split) for split in splits.values()]
  origin = np.repeat(np.arange(len(splits)), sizes)
  names = np.array(list(splits))[origin]
  ids = np.concatenate([split.ids for split in splits.values()])
  labels = np.concatenate([split.labels for split in splits.values()])
  class_names = next(iter(splits.values())).class_names
  listed = [
    {
      "kind": "exact" if pairs.exact[p] else "near",
      "splits": [str(names[i]), str(names[j])],
      "ids": [str(ids[i]), str(ids[j])],
      "labels": [class_names[labels[i]], class_names[labels[j]]],
      "hamming": int(pairs.hamming[p]),
      "correlation": round(float(pairs.correlation[p]), 5),
    }
    for p, (i, j) in enumerate(zip(pairs.first, pairs.second, strict=True))
  ]
  return {
    "max_hamming": MAX_HAMMING,
    "min_correlation": MIN_CORRELATION,
    "num_images": dict(zip(splits, sizes, strict=True)),
    "overlaps": [
      _overlap(listed, a, b)
      for a, b in itertools.combinations_with_replacement(splits, 2)
    ],
    "pairs": listed,
  }


def _overlap(listed: list[dict[str, Any]], a: str, b: str) -> dict[str, Any]:
  """Counts the pairs with one image in split a and the other in split b."""
  overlap: dict[str, Any] = {"splits": [a, b]}
  for kind in ("exact", "near", "any"):
    chosen = [
      pair
      for pair in listed
      if pair["splits"] == [a, b] and kind in ("any", pair["kind"])
    ]
    involved = {
      x for p in chosen for x in zip(p["splits"], p["ids"], strict=True)
    }
    overlap[kind] = {
      "pairs": len(chosen),
      "images": {s: sum(x[0] == s for x in involved) for s in {a: 0, b: 0}},
      "label_disagreements": sum(len(set(p["labels"])) > 1 for p in chosen),
    }
  return overlap


def score_clean(
  report: dict[str, Any],
  split: str,
  examples: examples_lib.Examples,
  logits: Float[np.ndarray, "N K"],
) -> dict[str, Any]:
  """Returns accuracies with and without the images that train holds too.

  `report` is `audit`'s. Accuracy is None where no image is left.

  Raises:
    UserError: if a logit is NaN or Inf.
  """
  kinds = {"exact": set(), "any": set()}
  for pair in report["pairs"]:
    if pair["splits"] == ["train", split]:
      kinds["any"].add(pair["ids"][1])
      if pair["kind"] == "exact":
        kinds["exact"].add(pair["ids"][1])
  in_train = np.array([i in kinds["any"] for i in examples.ids], bool)
  exactly = np.array([i in kinds["exact"] for i in examples.ids], bool)
  parts = {
    "all": np.ones(len(examples), bool),
    "without_exact_duplicates": ~exactly,
    "without_duplicates": ~in_train,
    "duplicates_only": in_train,
  }

  def accuracy(part):
    if not part.any():
      return None
    labels, ids = examples.labels[part], examples.ids[part]
    scores = metrics.score(logits[part], labels, ids=ids, split=split)
    return scores["accuracy"]

  return {
    name: {"num_images": int(part.sum()), "accuracy": accuracy(part)}
    for name, part in parts.items()
  }


def find_pairs(
  *parts: UInt8[np.ndarray, "_ H W C"] | UInt8[StreamedImages, "_ H W C"],
) -> Pairs:
  """Returns all pairs of duplicates, by first and second image.

  The images are those of all parts, which have one size, one after the other.
  """
  digests = np.concatenate(list(map(streamed.digests, parts)))
  _, contents = np.unique(digests, axis=0, return_inverse=True)
  sides = (min(n, _COMPARED_SIZE) for n in parts[0].shape[1:3])
  # One array for all parts, as it is the largest thing here.
  pixels = np.empty((sum(map(len, parts)), math.prod(sides)), np.float32)
  places = np.split(pixels, np.cumsum(list(map(len, parts)))[:-1])
  hashes = np.concatenate(list(map(_hash_and_normalise, parts, places)))
  found = []
  for i, j, hamming in _close(hashes):
    exact = contents[i] == contents[j]
    correlation = np.einsum("pd,pd->p", pixels[i], pixels[j])
    kept = exact | (correlation >= MIN_CORRELATION)
    found.append([x[kept] for x in (i, j, exact, hamming, correlation)])
  if not found:
    none = np.zeros(0, int)
    return Pairs(none, none, none.astype(bool), none, none.astype(float))
  columns = [np.concatenate(column) for column in zip(*found, strict=True)]
  order = np.lexsort((columns[1], columns[0]))
  return Pairs(*(column[order] for column in columns))


def _hash_and_normalise(
  images: UInt8[np.ndarray, "N H W C"] | UInt8[StreamedImages, "N H W C"],
  pixels: Float[np.ndarray, "N D"],
) -> UInt64[np.ndarray, "N"]:
  """Returns dHashes; fills `pixels` with grey ones.

  Each image's have mean 0 and norm 1, or are 0 if it is uniform.
  """
  height, width = (min(n, _COMPARED_SIZE) for n in images.shape[1:3])
  hashes = []
  blocks = range(0, len(images), _BLOCK)
  for first in image_progress.shown(blocks, "read", len(images), _BLOCK):
    grey = images[first : first + _BLOCK].mean(axis=-1, dtype=np.float32)
    cells = _average(grey, 8, 9)
    bits = cells[:, :, 1:] > cells[:, :, :-1]
    packed = np.packbits(bits.reshape(-1, 64), axis=1)
    hashes.append(packed.view(np.uint64)[:, 0])
    block = _average(grey, height, width).reshape(len(grey), -1)
    block -= block.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(block, axis=1, keepdims=True)
    pixels[first : first + _BLOCK] = block / np.maximum(norms, 1e-3)
  return np.concatenate(hashes)


def _average(
  grey: Float[np.ndarray, "N H W"], height: int, width: int
) -> Float[np.ndarray, "N {height} {width}"]:
  """Returns the means over height x width equal cells, in part pixels too."""
  rows, columns = (
    _weights(grey.shape[1], height),
    _weights(grey.shape[2], width),
  )
  return rows @ grey @ columns.T


def _weights(size: int, cells: int) -> Float[np.ndarray, "{cells} {size}"]:
  edges = np.linspace(0, size, cells + 1)
  pixel = np.arange(size)
  ends = np.minimum(pixel + 1, edges[1:, None])
  covered = np.clip(ends - np.maximum(pixel, edges[:-1, None]), 0, None)
  return (covered * cells / size).astype(np.float32)


def _close(
  hashes: UInt64[np.ndarray, "N"],
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
  """Yields (i, j, bits that differ) of at most _BLOCK pairs i < j at a time."""
  blocks = range(0, len(hashes), _BLOCK)
  for first in image_progress.shown(blocks, "compared", len(hashes), _BLOCK):
    block = hashes[first : first + _BLOCK]
    for second in range(first, len(hashes), _BLOCK):
      other = hashes[second : second + _BLOCK]
      distances = np.bitwise_count(block[:, None] ^ other[None])
      i, j = np.nonzero(distances <= MAX_HAMMING)
      ordered = i + first < j + second
      i, j = i[ordered], j[ordered]
      for start in range(0, len(i), _BLOCK):
        a, b = i[start : start + _BLOCK], j[start : start + _BLOCK]
        yield a + first, b + second, distances[a, b].astype(int)
