"""Boxes around faces, and how many boxes of one face become one."""

import dataclasses

import numpy as np

from pattlite_jax.runtime.array_types import Bool, Float


@dataclasses.dataclass(frozen=True)
class Detections:
  """Faces found: boxes in pixels, and how sure the detector is of each."""

  boxes: Float[np.ndarray, "N 4"]  # Left, top, right, bottom.
  scores: Float[np.ndarray, "N"]  # In 0 to 1.

  def __len__(self) -> int:
    return len(self.scores)

  def __getitem__(self, rows: np.ndarray | slice) -> "Detections":
    return Detections(self.boxes[rows], self.scores[rows])


def none() -> Detections:
  """Returns no detections."""
  return Detections(np.zeros((0, 4)), np.zeros(0))


def joined(parts: list[Detections]) -> Detections:
  """Returns the detections of all parts, one after the other."""
  parts = [none(), *parts]
  return Detections(
    np.concatenate([part.boxes for part in parts]),
    np.concatenate([part.scores for part in parts]),
  )


def area(boxes: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N"]:
  """Returns the area of each box; 0 where it is inside out."""
  sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
  return sides.prod(axis=-1)


def intersection(
  box: Float[np.ndarray, "4"], boxes: Float[np.ndarray, "N 4"]
) -> Float[np.ndarray, "N"]:
  """Returns the area that a box shares with each of others."""
  shared = np.empty_like(boxes)
  np.maximum(boxes[:, :2], box[:2], out=shared[:, :2])
  np.minimum(boxes[:, 2:], box[2:], out=shared[:, 2:])
  return area(shared)


def overlap(
  box: Float[np.ndarray, "4"], boxes: Float[np.ndarray, "N 4"]
) -> Float[np.ndarray, "N"]:
  """Returns intersection over union of a box with each of others."""
  shared = intersection(box, boxes)
  union = area(box[None]) + area(boxes) - shared
  return shared / np.maximum(union, 1e-9)


def merge_weighted(found: Detections, min_overlap: float) -> Detections:
  """Makes one box of those that overlap: their mean, weighted by score.

  This is what MediaPipe does ("WEIGHTED" in its
  non_max_suppression_calculator): the likeliest box takes in all that overlap
  it by more than `min_overlap`, and keeps its own score.
  """
  order = np.argsort(-found.scores, kind="stable")
  boxes, scores = [], []
  while order.size:
    left = found[order]
    same = overlap(left.boxes[0], left.boxes) > min_overlap
    same[0] = True  # Also a box without area.
    boxes.append(
      np.average(left.boxes[same], axis=0, weights=left.scores[same])
    )
    scores.append(left.scores[0])
    order = order[~same]
  if not boxes:
    return none()
  return Detections(np.array(boxes), np.array(scores, np.float64))


def drop_repeated(
  found: Detections, min_overlap: float, min_inside: float = 1.0
) -> Detections:
  """Keeps the likeliest of the boxes of a face.

  Args:
    found: in any order; comes back in order of score.
    min_overlap: intersection over union from which two boxes are one face.
    min_inside: share of the smaller box inside the other, likewise. Passes of
      different scale give boxes of a part of a face.
  """
  order = np.argsort(-found.scores, kind="stable")
  kept = []
  while order.size:
    first, order = order[0], order[1:]
    kept.append(first)
    order = order[
      ~_is_repeated(found.boxes[first], found.boxes[order], min_overlap)
      & ~_is_inside(found.boxes[first], found.boxes[order], min_inside)
    ]
  return found[np.array(kept, int)]


def _is_repeated(
  box: Float[np.ndarray, "4"],
  boxes: Float[np.ndarray, "N 4"],
  min_overlap: float,
) -> Bool[np.ndarray, "N"]:
  return overlap(box, boxes) > min_overlap


def _is_inside(
  box: Float[np.ndarray, "4"],
  boxes: Float[np.ndarray, "N 4"],
  min_inside: float,
) -> Bool[np.ndarray, "N"]:
  smaller = np.maximum(np.minimum(area(box[None]), area(boxes)), 1e-9)
  return intersection(box, boxes) / smaller > min_inside
