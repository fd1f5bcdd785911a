"""Tools that find faces in pictures and read them, asked as users ask them."""

import dataclasses
import importlib
import pathlib
import sys
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from pattlite_jax.benchmark.peers import installed
from pattlite_jax.predict import network as network_lib
from pattlite_jax.predict import photo
from pattlite_jax.predict.detection import load as detectors
from pattlite_jax.predict.detection import passes

Picture = UInt8[np.ndarray, "H W 3"]


@dataclasses.dataclass(frozen=True)
class Seen:
  """N faces in a picture; boxes are left, top, right, bottom in pixels."""

  boxes: Float[np.ndarray, "N 4"]
  scores: Float[np.ndarray, "N"]  # The likeliest face's is the highest.
  probabilities: Float[np.ndarray, "N K"]


@dataclasses.dataclass(frozen=True)
class Tool:
  """Pictures to faces; `version` is what was installed."""

  see: Callable[[Picture], Seen]
  class_names: Sequence[str]
  version: str


def ours(name: str) -> Tool:
  """Returns what `python -m pattlite_jax.predict` does with a picture.

  Raises:
    MissingFileError, UserError: as `predict.network.load`.
  """
  network, detector = network_lib.load(name), detectors.load()
  reader = photo.Reader(
    network.probabilities, network.image_shape, network.class_names, detector
  )

  def see(picture: Picture) -> Seen:
    faces = reader.faces(picture, passes.PASSES)
    return _seen(
      [face.box for face in faces],
      [face.detection or 0.0 for face in faces],
      [face.probabilities for face in faces],
      network.class_names,
    )

  return Tool(see, network.class_names, network.sha256)


def fer(folder: pathlib.Path) -> Tool:
  """Returns `FER().detect_emotions` of the package fer, as installed.

  Its first module is imported alone: the whole package needs much more, and of
  it only videos. It says nothing of how sure a face is; the largest counts.

  Raises:
    MissingFileError: if it is not installed.
  """
  version = installed.version_of_fer(folder)
  sys.path.insert(0, str(folder / "python"))  # With an OpenCV of its own.
  tool = importlib.import_module("fer.fer").FER()
  names = installed.OF_FER

  def see(picture: Picture) -> Seen:
    found = tool.detect_emotions(np.ascontiguousarray(picture[..., ::-1]))
    corners = [tuple(map(float, face["box"])) for face in found]
    return _seen(
      [(x, y, x + w, y + h) for x, y, w, h in corners],
      [w * h for _, _, w, h in corners],
      [[face["emotions"][name] for name in names] for face in found],
      names,
    )

  return Tool(see, names, version)


def _seen(
  boxes: Sequence[Sequence[float]],
  scores: Sequence[float],
  probabilities: Sequence[Sequence[float] | np.ndarray],
  class_names: Sequence[str],
) -> Seen:
  return Seen(
    np.array(boxes, float).reshape(-1, 4),
    np.array(scores, float),
    np.array(probabilities, np.float32).reshape(-1, len(class_names)),
  )
