"""One training step of a method, for comparison with a reference."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime import parallel
from pattlite_jax.training import setup


def faces():
  """Noise with a slope, so that no image is its own mirror image."""
  rng = np.random.default_rng(0)
  slope = np.linspace(0, 150, 24)[:, None]
  images = rng.integers(0, 100, (6, 24, 24, 1)) + slope
  return examples_lib.Examples(
    images.astype(np.uint8),
    np.array([0, 1, 2, 2, 1, 0], np.int32),
    np.arange(6).astype(str),
    ("anger", "disgust", "happiness"),
  )


def configure(config, method):
  """Makes the small config one of plain training, without draws."""
  config.method = method
  config.batch_size = 6
  config.augment.random_flip = False
  config.augment.random_contrast = 0.0
  config.stage1.trunk = "all"
  config.stage1.trunk_statistics = "batch"
  config.stage1.class_weights = False
  return config


def draw_variables(config):
  """Returns variables whose batch norms are not those of a fresh network."""
  rng = np.random.default_rng(1)
  return traverse_util.path_aware_map(
    lambda path, x: (
      rng.uniform(0.5, 1.5, x.shape)
      if path[-1] in ("scale", "var")
      else np.asarray(x) + rng.normal(0, 0.05, x.shape)
    ).astype(np.float32),
    jax.device_get(setup.init_variables(config, 3)),
  )


def take(config, examples, variables):
  """Returns the metrics, gradients by path and batch_stats of one step."""
  stage = setup.stage(config, "stage1", examples)
  keep = optax.GradientTransformation(
    lambda params: jax.tree.map(jnp.zeros_like, params),
    lambda grads, state, params: (jax.tree.map(jnp.zeros_like, grads), grads),
  )
  stage = dataclasses.replace(stage, tx=keep)
  batch = examples_lib.gather(examples, np.arange(len(examples)))
  (batch,) = parallel.device_batches([batch])
  state, metrics = parallel.pmap_train_step(stage.step)(
    parallel.replicate(stage.start(variables)), batch, jax.random.key(0)
  )
  gradients = traverse_util.flatten_dict(jax.device_get(state.opt_state))
  return metrics, gradients, jax.device_get(state.batch_stats)


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
