"""A small network and six images, on which one training step is compared."""

import jax
import numpy as np
from flax import traverse_util

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.training import setup


def configure(config, method):
  """Makes the small config one of plain training, without draws."""
  config.method = method
  config.batch_size = 6
  config.augment.random_flip = False
  config.augment.random_contrast = 0.0
  config.stage1.trunk = "all"
  config.stage1.trunk_statistics = "batch"
  config.stage1.class_weights = False
  config.model.depth, config.model.width, config.model.heads = 2, 16, 2
  config.model.embedding_size, config.model.embedding_dropout = 8, 0.0
  return config


def faces(**fields):
  """Noise with a slope, so that no image is its own mirror image."""
  rng = np.random.default_rng(0)
  slope = np.linspace(0, 150, 24)[:, None]
  images = rng.integers(0, 100, (6, 24, 24, 1)) + slope
  return examples_lib.Examples(
    images.astype(np.uint8),
    np.array([0, 1, 2, 2, 1, 0], np.int32),
    np.arange(6).astype(str),
    ("anger", "disgust", "happiness"),
    **fields,
  )


def draw_variables(config, seed=1):
  """Returns variables whose batch norms are not those of a fresh network.

  A seed suits a test whose f32 and f64 agree in the sign of every activation.
  """
  rng = np.random.default_rng(seed)
  return traverse_util.path_aware_map(
    lambda path, x: (
      rng.uniform(0.5, 1.5, x.shape)
      if path[-1] in ("scale", "var")
      else np.asarray(x) + rng.normal(0, 0.05, x.shape)
    ).astype(np.float32),
    jax.device_get(setup.init_variables(config, 3)),
  )


def compare_gradients(found, expected, tolerance=1e-4):
  """Asserts that each gradient agrees to a share of its largest value.

  One that is 0 in exact arithmetic, as a bias before batch norm, must be small
  beside the largest of all.
  """
  assert found.keys() == expected.keys()
  largest = max(np.abs(g).max() for g in expected.values())
  for path, gradient in expected.items():
    scale = max(np.abs(gradient).max(), 1e-3 * largest)
    gap = np.abs(found[path] - gradient).max()
    assert gap <= tolerance * scale, f"{path}: {gap} of {scale}"
