"""Whether splits that were read from a file can be what they claim to be."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pattlite_jax.data.examples import Examples
from pattlite_jax.data.streamed import StreamedImages
from pattlite_jax.runtime import class_names as class_names_lib
from pattlite_jax.runtime.errors import UserError

SPLITS = ("train", "validation", "test")
_MAX_PIXELS = 4096  # A side.
_MAX_ID = 1000  # Characters.


def checked(
  images: np.ndarray | StreamedImages,
  labels: np.ndarray,
  ids: np.ndarray,
  class_names: Any,
  targets: np.ndarray | None,
  where: str,
) -> Examples:
  """Returns a split of such arrays; whole numbers of any size are labels.

  `where` begins what an error says.

  Raises:
    UserError: if they cannot be a split; says what is wrong.
  """
  names = class_names_lib.checked(class_names, where)
  check_shape(images.shape, where)
  count = len(images)
  if images.dtype != np.uint8:
    raise UserError(f"{where} its images are {images.dtype}, not uint8.")
  if labels.dtype.kind not in "iu" or labels.shape != (count,):
    raise UserError(
      f"{where} its labels are {_kind(labels)}, but must be {count:,} whole "
      "numbers."
    )
  wrong = (labels < 0) | (labels >= len(names))
  if wrong.any():
    raise UserError(
      f"{where} its image {np.argmax(wrong):,} has the label "
      f"{labels[wrong][0]}, but must have one from 0 to {len(names) - 1}."
    )
  is_text = ids.dtype.kind == "U" and ids.itemsize <= 4 * _MAX_ID
  if not is_text or ids.shape != (count,):
    raise UserError(
      f"{where} its ids are {_kind(ids)}, but must be {count:,} texts of at "
      f"most {_MAX_ID:,} characters."
    )
  if targets is not None:
    _check_targets(targets, (count, len(names)), where)
  return Examples(images, labels.astype(np.int32), ids, names, targets)


def check_alike(splits: Mapping[str, Examples], where: str) -> None:
  """Raises UserError unless splits have the same classes and sizes."""
  first = next(iter(splits.values()))
  for name, split in splits.items():
    if name not in SPLITS:
      raise UserError(f"{where} has a split {name[:40]!r}, not of {SPLITS}.")
    if split.class_names != first.class_names:
      raise UserError(
        f"{where}, {name}: its classes are {', '.join(split.class_names)}, but "
        f"those of another split are {', '.join(first.class_names)}."
      )
    if split.images.shape[1:] != first.images.shape[1:]:
      raise UserError(
        f"{where}, {name}: its images are {split.images.shape[1:]}, but those "
        f"of another split are {first.images.shape[1:]}."
      )


def check_shape(shape: tuple[int, ...], where: str) -> None:
  """Raises UserError unless it is that of grey or RGB images, [N, H, W, C]."""
  if (
    len(shape) != 4
    or shape[0] < 0
    or not 1 <= min(shape[1:3]) <= max(shape[1:3]) <= _MAX_PIXELS
    or shape[3] not in (1, 3)
  ):
    raise UserError(
      f"{where} its images have the shape {str(shape)[:80]}, but must have "
      f"[N, H, W, 1 or 3], of at most {_MAX_PIXELS:,} pixels a side."
    )


def _check_targets(
  targets: np.ndarray, shape: tuple[int, int], where: str
) -> None:
  if targets.dtype != np.float32 or targets.shape != shape:
    raise UserError(
      f"{where} its targets are {_kind(targets)}, but must be "
      f"float32{list(shape)}."
    )
  # NaN is in no range.
  right = (targets >= 0).all(1) & (np.abs(targets.sum(1) - 1) < 1e-3)
  if not right.all():
    row = int(np.argmin(right))
    raise UserError(
      f"{where} the targets of its image {row:,} are "
      f"{targets[row].tolist()[:8]}, but must be shares that add up to 1."
    )


def _kind(array: np.ndarray) -> str:
  return f"{array.dtype}{list(array.shape)}"
