"""A figure that shows a model's folder to be what was released.

It says nothing about faces of people: the network scores drawn ones.
"""

from typing import Any

import numpy as np

from pattlite_jax.data.class_names import index_in
from pattlite_jax.data.drawing import face
from pattlite_jax.data.drawing.actions import EXPRESSIONS
from pattlite_jax.predict.classifier import Classifier
from pattlite_jax.scoring import metrics
from pattlite_jax.trained import Trained

NUM_FACES = 70
_SEED = 1


def on_drawn_faces(network: Trained) -> dict[str, Any] | None:
  """Returns loss (nats) and accuracy on `NUM_FACES` drawn faces.

  They depend on every weight, on the preprocessing and on the class order.
  None for a network that knows none of the expressions that can be drawn.
  """
  meant = [index_in(network.class_names, name) for name in EXPRESSIONS]
  shown = [k for k, index in enumerate(meant) if index is not None]
  if not shown:
    return None
  faces, labels = [], []
  for number in range(NUM_FACES):
    expression = shown[number % len(shown)]
    rng = np.random.default_rng([_SEED, number])
    faces.append(face.draw_face(rng, expression))
    labels.append(meant[expression])
  probabilities = Classifier(network)(faces)
  # One that float32 rounds to 0 would have no finite logarithm.
  logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
  scores = metrics.score(logits, np.array(labels, np.int32), split="drawn")
  return {
    "drawn_faces": NUM_FACES,
    "loss": scores["loss"],
    "accuracy": scores["accuracy"],
  }
