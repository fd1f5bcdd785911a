"""What several tests share: small examples, a small network, its config."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

import numpy as np
import pytest

from configs import default
from pattlite_jax.data.examples import Examples

CLASS_NAMES = ("anger", "disgust", "happiness")


@pytest.fixture
def make_examples():
  """Returns a maker of faceless examples whose brightness tells the class."""

  def make(num_examples, seed=0, size=16):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, num_examples).astype(np.int32)
    noise = rng.integers(0, 60, (num_examples, size, size, 1))
    images = noise + 90 * labels[:, None, None, None]
    ids = np.array([f"{seed}-{i}" for i in range(num_examples)])
    return Examples(images.astype(np.uint8), labels, ids, CLASS_NAMES)

  return make


@pytest.fixture
def small_config(tmp_path):
  """A run that compiles in seconds: one block of the trunk at 24 px."""
  config = default.get_config()
  config.workdir = str(tmp_path / "run")
  config.data.name = "synthetic_faces"
  config.batch_size = 4
  config.model.image_size = 24
  config.model.cut = "conv_pw_1_relu"
  config.stage1.epochs = 2
  config.stage2.epochs = 2
  config.log_every_steps = 2
  return config
