"""What the training saw does not count."""

import dataclasses

import numpy as np
import pytest

from pattlite_jax.data import packed
from pattlite_jax.data.source import DataChoice
from pattlite_jax.release import copies
from pattlite_jax.scoring.inputs import Inputs
from pattlite_jax.trained import Trained


@pytest.fixture
def scored(small_config, splits, tmp_path):
  """Returns scored(dataset, split), of a network right on the copy alone."""
  validation = splits["validation"]
  images = validation.images.copy()
  images[2] = splits["train"].images[5]
  splits["validation"] = dataclasses.replace(validation, images=images)
  packed.write(tmp_path / "faces.npz", "synthetic_faces", splits)
  network = Trained({}, small_config, validation.class_names)
  wrong = (validation.labels + 1) % 3
  wrong[2] = validation.labels[2]
  logits = np.eye(3, dtype=np.float32)[wrong]

  def scored(dataset="synthetic_faces", split="validation"):
    inputs = Inputs(network, dataset, split, splits["validation"], ())
    choice = DataChoice(packed=str(tmp_path / "faces.npz"))
    return copies.score(inputs, choice, {"logits": logits})

  return scored


def test_copies_of_training_images_are_left_out(scored):
  found = scored()
  # The drawn images are noise, so that no other two are alike.
  assert found["all"] == {"num_images": 9, "accuracy": pytest.approx(1 / 9)}
  assert found["without_duplicates"] == {"num_images": 8, "accuracy": 0.0}
  assert found["duplicates_only"] == {"num_images": 1, "accuracy": 1.0}


@pytest.mark.parametrize(
  "other", [{"dataset": "fer2013"}, {"split": "train"}], ids=str
)
def test_copies_are_looked_for_in_the_networks_own_training_split(
  scored, other
):
  assert scored(**other) is None
