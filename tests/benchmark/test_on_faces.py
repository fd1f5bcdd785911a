"""Networks with other classes, in another order, are scored alike."""

import numpy as np
import pytest

from pattlite_jax.benchmark import on_faces
from pattlite_jax.benchmark.peers import installed
from pattlite_jax.data.examples import Examples
from pattlite_jax.runtime.errors import MissingFileError

CLASSES = ("anger", "contempt", "happiness", "fear")
LABELS = np.array([0, 1, 2, 3, 2, 1], np.int32)


@pytest.fixture
def examples():
  images = np.zeros((6, 8, 8, 1), np.uint8)
  return Examples(images, LABELS, np.arange(6).astype(str), CLASSES)


def answers(class_names, probabilities):
  return installed.Answers(
    class_names,
    np.array(probabilities, np.float32),
    np.array([9, 2, 2, 2, 2, 1], np.float32),
    "1.0",
    "a runtime",
    1000,
    250,
  )


def test_only_classes_that_all_know_are_scored(examples):
  right = np.eye(4)[LABELS]
  right[2] = [0.1, 0.6, 0.2, 0.1]  # Contempt, but for it happiness.
  peer = np.eye(3)[[2, 0, 1, 0, 1, 0]]  # In the order of its own classes.
  peer[4] = [0.8, 0.1, 0.1]  # Wrong.
  common, entries = on_faces.compare(
    examples,
    {
      "ours": answers(CLASSES, right),
      "peer": answers(("fearful", "happy", "angry"), peer),
    },
  )
  assert common == ["anger", "happiness", "fear"]
  ours, theirs = (entries[name]["figures"] for name in ("ours", "peer"))
  assert ours["num_examples"] == theirs["num_examples"] == 4
  assert ours["accuracy"] == 1 and theirs["accuracy"] == 0.75
  assert theirs["confusion_matrix"] == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
  assert entries["peer"]["ms"] == 2  # The median.
  assert entries["peer"]["parameters"] == 250


@pytest.mark.parametrize("name", ["fer", "human", "face_api"])
def test_what_is_not_installed_is_said(tmp_path, examples, name):
  with pytest.raises(MissingFileError, match=r"launch/peers\.sh installs"):
    installed.peer(name, tmp_path, examples.images)
