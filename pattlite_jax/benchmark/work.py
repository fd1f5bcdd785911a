"""What is measured: the same work, weights and images for all sides.

  forward      colour faces uint8 [B, 224, 224, 3] -> logits, in inference
  train_step   colour faces uint8 [B, 48, 48, 3] -> updated weights: resize to
               224, flip, contrast, forward, backward, clip, Adam; with the
               trunk frozen (stage1) and trained (stage2)

The network is the published one: attention over the batch, 7 classes.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import flax.traverse_util
import jax
import ml_collections
import numpy as np
from jaxtyping import Float

from pattlite_jax.config import files as config_files
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data.drawing.actions import EXPRESSIONS
from pattlite_jax.method import TRUNK
from pattlite_jax.training import setup

IMAGE_SIZE, FACE_SIZE = 224, 48
STAGES = {"stage1": "trunk frozen", "stage2": "trunk trained"}

Once = Callable[[], Any]  # Starts one computation; returns its output.


@runtime_checkable
class Side(Protocol):
  """An implementation to measure: ours or a peer's."""

  def forward(
    self, faces: examples_lib.Examples
  ) -> tuple[Once, Float[np.ndarray, "B K"]]:
    """Returns what to time, and its class probabilities as a check."""
    ...

  def train_step(self, stage: str, faces: examples_lib.Examples) -> Once:
    """Returns what to time: a step on one batch, already on the device."""
    ...

  def wait(self, output: Any) -> None:
    """Returns when the output, and all before it, is computed."""
    ...


@dataclasses.dataclass(frozen=True)
class Work:
  """The network's config and variables, for all sides."""

  config: ml_collections.ConfigDict
  variables: dict[str, Any]

  @property
  def flat(self) -> Mapping[tuple[str, ...], np.ndarray]:
    """The variables by their path."""
    flat: Any = flax.traverse_util.flatten_dict(self.variables)
    return flat


def make_work(dtype: str, steps_per_dispatch: int = 1) -> Work:
  """Returns the work, computed in `dtype` with f32 parameters."""
  config = config_files.load("fer2013")  # The published recipe.
  config.steps_per_dispatch = steps_per_dispatch
  config.model.attention = "batch"
  config.model.dtype = dtype
  config.stage2.trunk = "all_but_bn"
  variables = setup.init_variables(config, len(EXPRESSIONS))
  _sharpen(variables["params"])
  return Work(config, variables)


def _sharpen(params: dict[str, Any]) -> None:
  """Makes an untrained head tell classes and images apart.

  Else all probabilities are 1 / K, and sides that compute different networks
  would agree.
  """
  for name in params:
    if name != TRUNK:
      params[name] = jax.tree.map(lambda x: 2 * x, params[name])
  params["attention_classifier"]["attention_scale"] *= 15


def draw_faces(
  batch_size: int, image_size: int, channels: int = 3
) -> examples_lib.Examples:
  """Returns coarse noise: no side's speed depends on what it shows."""
  rng = np.random.default_rng(0)
  squares = rng.integers(0, 256, [batch_size, 4, 4, channels], np.uint8)
  images = squares.repeat(image_size // 4, 1).repeat(image_size // 4, 2)
  return examples_lib.Examples(
    images,
    (np.arange(batch_size) % len(EXPRESSIONS)).astype(np.int32),
    np.arange(batch_size).astype(str),
    EXPRESSIONS,
  )
