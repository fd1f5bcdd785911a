"""Does a file give what JAX gives? Tried on drawn faces at each export."""

import dataclasses

import jax
import numpy as np
import scipy.special
from jaxtyping import UInt8

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data.drawing import face
from pattlite_jax.data.drawing.actions import EXPRESSIONS
from pattlite_jax.export.networks import Run
from pattlite_jax.predict import face as face_lib
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.trained import Trained

NUM_FACES = 64
# The largest difference of a probability that passes. Weights of float16 keep
# 11 bits; int8 is judged by its accuracy (int8.py).
LIMITS = {"float32": 1e-5, "float16": 0.05}
_SEED = 2


def in_float32(network: Trained) -> Trained:
  """Returns the same network, computed in float32 whatever its run used."""
  config = network.config.copy_and_resolve_references()
  config.model.dtype = "float32"
  return dataclasses.replace(network, config=config)


def drawn_faces(network: Trained) -> UInt8[np.ndarray, "B H W C"]:
  """Returns drawn faces, made what the network was trained on."""
  assert network.image_shape
  faces = [
    face.draw_face(np.random.default_rng([_SEED, k]), k % len(EXPRESSIONS))
    for k in range(NUM_FACES)
  ]
  return np.stack(
    [face_lib.like_training(drawn, network.image_shape) for drawn in faces]
  )


def largest_difference(network: Trained, run: Run) -> float:
  """Returns the largest difference of a probability between a file and JAX.

  `run` is the file in its own runtime. It takes the faces together, and one
  alone: a batch may have any size.
  """
  faces = drawn_faces(network)
  examples = examples_lib.unlabelled(faces, network.class_names)
  with jax.default_matmul_precision("highest"):
    logits = in_float32(network).predictor_alone()(examples, len(faces))
  expected = scipy.special.softmax(logits, axis=-1)
  found = np.concatenate([run(faces), run(faces[:1])])
  difference = np.abs(found - np.concatenate([expected, expected[:1]]))
  return float(difference.max())  # NaN where one is.


def require_small(difference: float, precision: str) -> None:
  """Raises UserError if a file of this precision differs more than it may."""
  limit = LIMITS.get(precision, 1.0)
  if not difference <= limit:  # NaN, too, is no small difference.
    raise UserError(
      f"The exported network differs from JAX by {difference:.2g} in a "
      f"probability, more than {limit:g}, so nothing was written. Its weights "
      "may be too large for this precision."
    )
