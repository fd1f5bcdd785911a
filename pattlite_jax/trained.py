"""A trained network as the commands use it, from any kind of checkpoint."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import ml_collections
import numpy as np
from etils import epath
from jaxtyping import Float, UInt8

from configs import default
from pattlite_jax import build, checkpoint, predict
from pattlite_jax.data import examples as examples_lib


@dataclasses.dataclass(frozen=True)
class Trained:
  """The best weights of a run and what they were trained for."""

  variables: dict[str, Any]
  config: ml_collections.ConfigDict
  class_names: tuple[str, ...]

  @property
  def attention(self) -> str:
    """The attention mode that the weights were trained with."""
    return self.config.model.attention

  def predictor(
    self, attention: str | None = None
  ) -> Callable[[examples_lib.Examples, int], Float[np.ndarray, "N K"]]:
    """Returns f(examples, batch_size) -> logits, in another mode if given.

    "none" gives what attention "batch" computes for each image alone.
    """
    step = build.build_predict(self.config, len(self.class_names), attention)

    def logits_of(examples, batch_size):
      return predict.predict(
        step, self.variables, examples, batch_size=batch_size
      )

    return logits_of

  def logits(
    self, images: UInt8[np.ndarray, "N H W C"]
  ) -> Float[np.ndarray, "N K"]:
    """Returns the logits of one batch of images, in the trained mode."""
    examples = examples_lib.Examples(
      images=images,
      labels=np.zeros(len(images), np.int32),
      ids=np.arange(len(images)).astype(str),
      class_names=self.class_names,
    )
    return self._predict(examples, len(images))

  @functools.cached_property
  def _predict(self):
    return self.predictor()  # Kept, as each one compiles anew.


def load(path: epath.PathLike) -> Trained:
  """Loads a workdir or one step's directory (`--checkpoint`)."""
  described = checkpoint.restore_config(path)
  # Fields that are newer than the checkpoint take their defaults.
  config = default.get_config().copy_and_resolve_references()
  config.unlock()
  config.update(described["config"])
  return Trained(
    variables=jax.device_get(checkpoint.restore_best(path)),
    config=config.lock(),
    class_names=tuple(described["class_names"]),
  )
