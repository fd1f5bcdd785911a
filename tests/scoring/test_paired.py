"""McNemar's test, and another network on the same images."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from pattlite_jax.data.examples import Examples
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring import paired, text
from pattlite_jax.scoring.inputs import Inputs
from pattlite_jax.scoring.network import Predictors

CLASSES = ("anger", "disgust", "happiness")
LABELS = np.array([0, 1, 2, 2, 1, 0, 2], np.int32)


@pytest.mark.parametrize(
  ("one", "other", "p_value"),
  [
    (0, 0, 1.0),
    (5, 5, 1.0),
    (1, 6, 2 * (1 + 7) / 2**7),  # Both tails of seven throws of a coin.
    (6, 1, 2 * (1 + 7) / 2**7),
    (0, 10, 2 / 2**10),
  ],
)
def test_the_p_value_is_that_of_throws_of_a_coin(one, other, p_value):
  assert paired.mcnemar(one, other) == pytest.approx(p_value)


def logits_of(classes, names):
  """Returns logits of `names` whose largest are those of `classes`."""
  indices = [names.index(c) for c in classes]
  return np.eye(len(names), dtype=np.float32)[indices]


@dataclasses.dataclass
class Fixed:
  """A `scoring.network.Network` that gives logits, whatever it sees."""

  class_names: tuple[str, ...]
  given: np.ndarray
  config: Any = None
  attention: None = None
  sharing: None = None
  patch_extraction: None = None

  def predictors(self):
    return Predictors(alone=lambda *_: self.given, across_batch=None)


def network(classes, names):
  return Fixed(names, logits_of(classes, names))


@pytest.fixture
def inputs():
  images = np.zeros([len(LABELS), 4, 4, 1], np.uint8)
  ids = np.arange(len(LABELS)).astype(str)
  examples = Examples(images, LABELS, ids, CLASSES)
  return Inputs(
    network([CLASSES[0]], CLASSES), "synthetic_faces", "test", examples, ()
  )


def right_but(*wrong):
  """Returns the class of each image, or the next one where it is `wrong`."""
  return [CLASSES[(k + (i in wrong)) % 3] for i, k in enumerate(LABELS)]


@pytest.mark.parametrize(
  "names", [CLASSES, ("happiness", "neutral", "anger", "disgust")]
)
def test_images_that_one_of_both_alone_gets_right_are_counted(inputs, names):
  predictions = {"logits": logits_of(right_but(0, 3), CLASSES)}
  predictions["labels"] = LABELS
  other = network(right_but(3, 4, 5, 6), names)
  found = paired.against(other, inputs, predictions, 2)
  assert found == {
    "accuracy": pytest.approx(3 / 7),
    "right_here_alone": 3,
    "right_there_alone": 1,
    "p_value": pytest.approx(2 * (1 + 4) / 2**4),
  }


def test_a_network_of_other_classes_is_refused(inputs):
  predictions = {"logits": logits_of(right_but(), CLASSES), "labels": LABELS}
  other = network(right_but(), (*CLASSES[:2], "fear", "happiness"))
  paired.against(other, inputs, predictions, 2)
  other.class_names = ("anger", "disgust", "fear")
  with pytest.raises(UserError, match="the checkpoint was trained for"):
    paired.against(other, inputs, predictions, 2)


def test_the_difference_has_its_sign():
  found = {"accuracy": 0.7, "right_here_alone": 1_200, "right_there_alone": 3}
  found |= {"checkpoint": "runs/b", "p_value": 0.00123}
  lines = text.against({"accuracy": 0.6875}, found)
  assert lines[0] == "Against: runs/b"
  assert "70.00 % there, -1.25 points here" in lines[1]
  assert "1,200 images right here alone, 3 there alone" in lines[2]
  assert lines[3].endswith("p = 0.0012")
