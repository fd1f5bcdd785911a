"""A trained network as the commands use it, from any kind of checkpoint."""

import dataclasses
import functools
import reprlib
import textwrap
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
from pattlite_jax.weights import trunk


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
  """Loads a workdir or one step's directory (`--checkpoint`).

  Raises:
    FileNotFoundError: if there is none, or a file of it is missing.
    ValueError: if it is broken, or its weights do not fit its config.
  """
  try:
    return _load(path)
  except FileNotFoundError:
    raise
  except Exception as error:  # Orbax raises any kind for broken files.
    reason = textwrap.shorten(str(error), 400) or type(error).__name__
    raise ValueError(
      f"The checkpoint at {path} is broken (--checkpoint): {reason}"
    ) from error


def _load(path: epath.PathLike) -> Trained:
  described = checkpoint.restore_config(path)
  match described:
    case {"config": dict(fields), "class_names": [*class_names]}:
      pass
    case _:
      raise ValueError(
        f"its config item is {reprlib.repr(described)}, but must have config "
        "and a list of class_names"
      )
  # Fields that are newer than the checkpoint take their defaults.
  config = default.get_config().copy_and_resolve_references()
  config.unlock()
  config.update(fields)
  build.check_config(config)
  variables = jax.device_get(checkpoint.restore_best(path))
  shapes = build.variable_shapes(config, len(class_names))
  return Trained(
    variables=trunk.select_layers(variables, shapes),
    config=config.lock(),
    class_names=tuple(map(str, class_names)),
  )
