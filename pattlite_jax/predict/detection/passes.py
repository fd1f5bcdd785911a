"""The regions of a picture in which faces are looked for, and their merging.

whole   the picture: faces from 5 % of its longer side
padded  the picture with half its size around it: a face that fills it
tiles   four overlapping quarters: faces from 3 % of its longer side
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import PIL.Image

from pattlite_jax.predict.detection import boxes as boxes_lib
from pattlite_jax.predict.detection.boxes import Detections
from pattlite_jax.predict.detection.view import Region

PASSES = ("whole", "padded", "tiles")
_TILE = 0.6  # Of the picture's width and height: neighbours share a third.
_MIN_OVERLAP, _MIN_INSIDE = 0.3, 0.7


@runtime_checkable
class Detector(Protocol):
  """Finds faces in a region of an RGB picture."""

  name: str
  side: int  # Pixels of the longer side of its input.

  def find(self, picture: PIL.Image.Image, region: Region) -> Detections:
    """Returns boxes in the picture's pixels."""
    ...


def find(
  picture: PIL.Image.Image, detector: Detector, passes: Sequence[str]
) -> Detections:
  """Returns the faces that any of `passes` finds in an RGB picture.

  In the picture's pixels, from left to right.
  """
  # Once, to twice what the detector takes of a tile, rather than in each pass.
  useful = round(2 * detector.side / _TILE)
  factor = max(max(picture.size) // useful, 1)
  small = picture.reduce(factor) if factor > 1 else picture
  found = boxes_lib.joined(
    [detector.find(small, region) for region in regions(*small.size, passes)]
  )
  found = boxes_lib.drop_repeated(found, _MIN_OVERLAP, _MIN_INSIDE)
  found = Detections(found.boxes * factor, found.scores)
  return found[np.argsort(found.boxes[:, 0], kind="stable")]


def regions(width: int, height: int, passes: Sequence[str]) -> Iterator[Region]:
  """Yields the regions of the passes over a picture, in pixels."""
  if "whole" in passes:
    yield 0.0, 0.0, float(width), float(height)
  if "padded" in passes:
    yield -width / 2, -height / 2, width * 1.5, height * 1.5
  if "tiles" in passes:
    for top in (0.0, (1 - _TILE) * height):
      for left in (0.0, (1 - _TILE) * width):
        yield left, top, left + _TILE * width, top + _TILE * height
