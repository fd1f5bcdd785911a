"""The papers' recipes take steps: on a small trunk, with made faces."""

import math
import pathlib

import numpy as np
import pytest
from small_run import fit

from pattlite_jax import config as config_lib
from pattlite_jax.config import files as config_files
from pattlite_jax.data.examples import Examples

_CONFIGS = pathlib.Path(__file__).parents[1] / "configs"
RECIPES = sorted(
  path.stem
  for method in config_lib.METHODS
  for path in _CONFIGS.glob(f"{method}_*.py")
)
CLASSES = (
  "surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral",
)  # fmt: skip


def faces(count, seed):
  """Coloured noise, of each class as often."""
  rng = np.random.default_rng(seed)
  images = rng.integers(0, 256, (count, 20, 20, 3)).astype(np.uint8)
  labels = (np.arange(count) % 7).astype(np.int32)
  return Examples(images, labels, np.arange(count).astype(str), CLASSES)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_takes_two_steps(recipe, tmp_path):
  config = config_files.load(recipe)
  data = config.data.name.partition("/")[0]
  assert recipe == f"{config.method}_{data}"
  config.workdir = str(tmp_path / "run")
  config.batch_size = 8
  config.stage1.epochs = 1
  config.stage1.warmup_epochs = 0.0
  config.model.trunk = "mobilenet_v1"
  config.model.trunk_weights = "imagenet"
  config.model.cut = "conv_pw_1_relu"
  config.model.image_size = 24
  if config.method == "apvit":
    config.model.width, config.model.heads, config.model.depth = 16, 2, 2
  if config.method == "dan":
    config.model.head_features = 8
  if config.method == "label_correction":
    config.model.relabel_after_epochs = 0.0
  config_lib.check(config)
  splits = {
    "train": faces(14, 0),
    "validation": faces(7, 1),
    "test": faces(7, 2),
  }
  result, _ = fit(config, splits)
  (record,) = result["history"]
  assert math.isfinite(record["train_loss"]) and record["train_loss"] > 0
  assert result["method"] == config.method
  rate = config.stage1.learning_rate
  assert 0 < record["learning_rate"] <= rate * 1.0001
