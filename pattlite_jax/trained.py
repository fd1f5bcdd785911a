"""A trained network as the commands use it, from any kind of checkpoint."""

import dataclasses
import functools
import hashlib
import json
import reprlib
import textwrap
from collections.abc import Sequence
from typing import Any

import jax
import ml_collections
import numpy as np
from etils import epath
from flax import linen as nn
from jaxtyping import Float, UInt8

from pattlite_jax import config as config_lib
from pattlite_jax import methods
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.method import Method
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.scoring import logits as logits_lib
from pattlite_jax.scoring import protocols
from pattlite_jax.scoring.logits import LogitsOf
from pattlite_jax.training import checkpoint
from pattlite_jax.weights import model_folder, trunk


@dataclasses.dataclass(frozen=True)
class Trained:
  """The best weights of a run and what they were trained for."""

  variables: dict[str, Any]
  config: ml_collections.ConfigDict
  class_names: tuple[str, ...]
  # [H, W, C] of the training images; None in checkpoints that do not say.
  image_shape: tuple[int, int, int] | None = None
  history: Sequence[dict[str, Any]] = ()  # A record of each epoch.

  @functools.cached_property
  def method(self) -> Method:
    """The method that the weights belong to, for scoring."""
    return methods.build(self.config, len(self.class_names))

  @property
  def attention(self) -> str:
    """The attention mode that the weights were trained with."""
    return self.config.model.attention

  @property
  def mixes_batch(self) -> bool:
    """Whether a prediction depends on the other images of its batch."""
    return self.method.mixes_batch

  def predictor(self, network: nn.Module | None = None) -> LogitsOf:
    """Returns f(examples, batch_size) -> logits, as trained.

    `network` is another one for the same variables, such as `method.alone`.
    """
    predict = logits_lib.Predictor(self.method, network or self.method.network)
    variables = predict.prepare(self.variables)

    def logits_of(examples, batch_size):
      return predict.logits(variables, examples, batch_size=batch_size)

    return logits_of

  def predictor_alone(self) -> LogitsOf:
    """Returns f(examples, batch_size) -> logits of each image alone."""
    return self.predictor(self.method.alone)

  def predictors(self) -> protocols.Predictors:
    """Returns what gives the logits under each protocol there is."""
    return protocols.Predictors(
      alone=self.predictor_alone(),
      across_batch=self.predictor() if self.mixes_batch else None,
    )

  def logits(
    self, images: UInt8[np.ndarray, "N H W C"]
  ) -> Float[np.ndarray, "N K"]:
    """Returns the logits of one batch of images, in the trained mode."""
    return self._predict(
      examples_lib.unlabelled(images, self.class_names), len(images)
    )

  def origin(self) -> str:
    """Returns its data set, words that its weights decide, and those before it.

    Such as "fer2013, sha256 0123456789abcdef, from ferplus": a number owes
    something to the labels of all networks that came before.
    """
    names = (self.config.start_from, self.config.distillation.teachers)
    words = f"{self.config.data.name}, {self.fingerprint()}"
    return ", from ".join([words, *filter(None, names)])

  def fingerprint(self) -> str:
    """Returns words that change with any weight or class name."""
    digest = hashlib.sha256(json.dumps(self.class_names).encode())
    for leaf in jax.tree.leaves(self.variables):
      digest.update(np.asarray(leaf).tobytes())
    return f"sha256 {digest.hexdigest()[:16]}"

  @functools.cached_property
  def _predict(self):
    return self.predictor()  # Kept, as each one compiles anew.


def load(path: epath.PathLike) -> Trained:
  """Loads a workdir, one step's directory, or what `model_folder.find` finds.

  Raises:
    MissingFileError: if there is none, or a file of it is missing.
    UserError: if it is broken, or its weights do not fit its config.
  """
  try:
    return _load(path)
  except MissingFileError as error:
    shipped = ", ".join(model_folder.shipped())
    raise MissingFileError(
      f"{error} The networks that come with the package are: {shipped}."
    ) from error
  except Exception as error:  # Orbax raises any kind for broken files.
    reason = textwrap.shorten(str(error), 400) or type(error).__name__
    raise UserError(
      f"The checkpoint at {path} is broken (--checkpoint): {reason}"
    ) from error


def _load(path: epath.PathLike) -> Trained:
  folder = model_folder.find(path)
  if folder:
    variables, described = model_folder.read(folder)
    history = described.get("history", [])
  else:
    described = checkpoint.restore_config(path)
    variables = jax.device_get(checkpoint.restore_best(path))
    history = checkpoint.restore_history(path)
  match described:
    case {"config": dict(fields), "class_names": [*class_names]}:
      pass
    case _:
      raise UserError(
        f"its config item is {reprlib.repr(described)}, but must have config "
        "and a list of class_names"
      )
  config = config_lib.from_checkpoint(fields)
  shapes = methods.build(config, len(class_names)).shapes
  return Trained(
    variables=trunk.select_layers(variables, shapes),
    config=config,
    class_names=tuple(map(str, class_names)),
    image_shape=_image_shape(described.get("image_shape")),
    history=history,
  )


def _image_shape(saved: Any) -> tuple[int, int, int] | None:
  match saved:
    case [int(height), int(width), (1 | 3) as channels]:
      return height, width, channels
    case None:  # The checkpoint is older than the field.
      return None
  raise UserError(f"its image_shape is {reprlib.repr(saved)}, not [H, W, C]")
