"""The faces of a photograph: where they are, and what they express."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import PIL.Image

from pattlite_jax.predict import cut as cut_lib
from pattlite_jax.predict import face as face_lib
from pattlite_jax.predict.detection import passes as passes_lib
from pattlite_jax.runtime.array_types import Float, UInt8
from pattlite_jax.runtime.errors import UserError


@dataclasses.dataclass(frozen=True)
class Face:
  """A face in a photograph; places are pixels from its top left corner."""

  box: tuple[float, float, float, float]  # The detector's: left, top, right,
  # bottom.
  cut: cut_lib.Square  # What the network saw: the square around the box.
  detection: float | None  # How sure the detector is; None if it wasn't asked.
  probabilities: Float[np.ndarray, "K"]
  class_names: tuple[str, ...]

  @property
  def expression(self) -> str:
    """The likeliest expression."""
    return self.class_names[int(self.probabilities.argmax())]

  @property
  def probability(self) -> float:
    """The probability of the likeliest expression."""
    return float(self.probabilities.max())


@dataclasses.dataclass(frozen=True)
class Reader:
  """Finds the faces of photographs, and classifies each."""

  probabilities: Callable[..., np.ndarray]  # u8[N, H, W, C] -> f32[N, K]
  image_shape: tuple[int, int, int]  # [H, W, C] of what it takes.
  class_names: tuple[str, ...]
  detector: passes_lib.Detector | None  # None: each picture is one face.

  def faces(
    self, pixels: UInt8[np.ndarray, "H W 3"], passes: Sequence[str]
  ) -> list[Face]:
    """Returns the faces of an RGB picture, from left to right."""
    if self.detector is None:
      height, width, _ = pixels.shape
      whole = np.array([[0, 0, width, height]], np.float64)
      return self._classified([pixels], whole, [(0, 0, width, height)], [None])
    picture = PIL.Image.fromarray(pixels)
    found = passes_lib.find(picture, self.detector, passes)
    squares = [cut_lib.square(box) for box in found.boxes]
    cuts = [cut_lib.cut(pixels, square) for square in squares]
    return self._classified(cuts, found.boxes, squares, found.scores.tolist())

  def _classified(
    self,
    cuts: list[np.ndarray],
    boxes: Float[np.ndarray, "N 4"],
    squares: list[cut_lib.Square],
    scores: list[float | None],
  ) -> list[Face]:
    if not cuts:
      return []
    images = [face_lib.like_training(cut, self.image_shape) for cut in cuts]
    probabilities = self.probabilities(
      np.array(images, np.uint8).reshape(-1, *self.image_shape)
    )
    parts = zip(boxes.tolist(), squares, scores, probabilities, strict=True)
    return [
      Face(tuple(box), square, score, row, self.class_names)
      for box, square, score, row in parts
    ]


def checked_passes(names: Sequence[str]) -> tuple[str, ...]:
  """Returns the passes of these names.

  Raises:
    UserError: for another name, or none.
  """
  wrong = [name for name in names if name not in passes_lib.PASSES]
  if wrong or not names:
    raise UserError(
      f"The passes are {', '.join(names) or 'none'}, but must be some of "
      f"{', '.join(passes_lib.PASSES)}.",
      setting="passes",
    )
  return tuple(names)
