"""What becomes of crops that are not square: stretched, filled up, or cut."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from pattlite_jax.data.readers import image_file
from pattlite_jax.predict import face

KEPT = (0.6, 0.75, 0.9)  # Of the width, or of the height, of a square face.
_CHUNK = 128  # Faces.

Crop = UInt8[np.ndarray, "_ _ C"]


def _stretched(crop: Crop) -> Crop:
  side = max(crop.shape[:2])
  return image_file.resized(crop, side, side)


def _padding(crop: Crop) -> tuple[tuple[int, int], ...]:
  """Returns what np.pad needs to lay the crop in the middle of a square."""
  side = max(crop.shape[:2])
  lacking = [side - pixels for pixels in crop.shape[:2]]
  return (*((n // 2, n - n // 2) for n in lacking), (0, 0))


def _middle(crop: Crop) -> Crop:
  """Returns the square in the middle of the crop."""
  side = min(crop.shape[:2])
  top, left = ((n - side) // 2 for n in crop.shape[:2])
  return crop[top : top + side, left : left + side]


WAYS: Mapping[str, Callable[[Crop], Crop]] = {
  "stretched": _stretched,
  "filled with black": lambda crop: np.pad(crop, _padding(crop)),
  "filled with its mean": lambda crop: image_file.filled(crop, 1, 1),
  "filled with its edge": lambda crop: np.pad(crop, _padding(crop), "edge"),
  "cut to a square": _middle,
}


def measure(
  probabilities: Callable[
    [UInt8[np.ndarray, "n H W C"]], Float[np.ndarray, "n K"]
  ],
  images: UInt8[np.ndarray, "N H W C"],
  labels: Int[np.ndarray, "N"],
) -> dict[str, Any]:
  """Returns the accuracy of each way for crops of each shape.

  A crop has the middle of a face's width, or of its height: as from a detector
  with tall or wide boxes. What `KEPT` keeps is in the result's names.

  Args:
    probabilities: of faces as the network was trained on.
    images: square faces, as the network was trained on.
    labels: their classes.
  """
  height, width, _ = images.shape[1:]
  found = {}
  for kept in KEPT:
    rows, columns = _middle_of(height, kept), _middle_of(width, kept)
    for name, crops in (
      (f"{kept} of the width", images[:, :, columns]),
      (f"{kept} of the height", images[:, rows]),
    ):
      found[name] = {
        way: _accuracy(
          probabilities,
          [face.like_training(make(crop), images.shape[1:]) for crop in crops],
          labels,
        )
        for way, make in WAYS.items()
      }
  return {"faces": len(images), "accuracy_by_shape": found}


def _middle_of(pixels: int, kept: float) -> slice:
  lost = round(pixels * (1 - kept))
  return slice(lost // 2, pixels - (lost - lost // 2))


def _accuracy(
  probabilities: Callable[..., np.ndarray],
  faces: list[Crop],
  labels: Int[np.ndarray, "N"],
) -> float:
  chosen = [
    probabilities(np.array(faces[first : first + _CHUNK])).argmax(-1)
    for first in range(0, len(faces), _CHUNK)
  ]
  return float((np.concatenate(chosen) == labels).mean())
