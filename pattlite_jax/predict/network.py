"""A trained network by the quickest way there is to run it.

A released folder holds the network as ONNX, too, which onnxruntime starts in a
tenth of a second. JAX runs all others.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import pathlib
from collections.abc import Callable

import numpy as np

from pattlite_jax.predict import session as session_lib
from pattlite_jax.runtime import errors
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.runtime.lazy import epath
from pattlite_jax.weights import model_folder


@dataclasses.dataclass(frozen=True)
class Network:
  """Faces to probabilities, and what a result has to say of it."""

  probabilities: Callable[..., np.ndarray]  # u8[N, H, W, C] -> f32[N, K]
  name: str
  class_names: tuple[str, ...]
  image_shape: tuple[int, int, int]  # [H, W, C] of the training images.
  sha256: str  # Of the weights and class names: 16 hex digits.
  preprocessing: str
  backend: str  # "onnxruntime" or "JAX", with its version.


def load(name: str | os.PathLike[str]) -> Network:
  """Loads a shipped network, a model's folder, or a run.

  Raises:
    MissingFileError: if there is none.
    UserError: if it is broken.
  """
  with errors.about("checkpoint"):
    folder = model_folder.find(name)
    if (
      folder
      and (folder / model_folder.ONNX).exists()
      and importlib.util.find_spec("onnxruntime")
    ):
      return _by_onnxruntime(os.fspath(name), folder)
    return _by_jax(os.fspath(name))


def _by_onnxruntime(name: str, folder: pathlib.Path | epath.Path) -> Network:
  import onnxruntime

  described = model_folder.read_config(folder)
  session = session_lib.Session(folder / model_folder.ONNX)
  noted = described.get("onnx", {})
  if noted.get("sha256") != session.sha256:
    raise UserError(
      f"{folder / model_folder.ONNX} is not the file that "
      f"{folder / model_folder.CONFIG} notes (sha256 {session.sha256}, not "
      f"{noted.get('sha256')}); remove it, or release the network again."
    )
  return Network(
    lambda images: session(images)[0],
    name,
    tuple(described["class_names"]),
    tuple(described["image_shape"]),
    noted["weights_sha256"],
    described["preprocessing"],
    f"onnxruntime {onnxruntime.__version__}",
  )


def _by_jax(name: str) -> Network:
  from pattlite_jax.runtime import startup

  startup.configure()
  import jax

  from pattlite_jax.predict import classifier

  classify = classifier.load(name)
  network = classify.network
  assert network.image_shape
  return Network(
    classify.probabilities,
    name,
    network.class_names,
    network.image_shape,
    network.sha256(),
    model_folder.PREPROCESSING,
    f"JAX {jax.__version__} ({jax.default_backend()})",
  )
