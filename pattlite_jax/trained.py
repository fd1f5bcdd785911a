"""A trained network as the commands use it, from any kind of checkpoint."""

import dataclasses
import functools
import hashlib
import json
import reprlib
from collections.abc import Sequence
from typing import Any

import jax
import ml_collections
import numpy as np
from etils import epath
from flax import linen as nn
from flax import traverse_util
from jaxtyping import Float, UInt8

from pattlite_jax import config as config_lib
from pattlite_jax import methods
from pattlite_jax.config.rules import STAGES
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.method import Method
from pattlite_jax.runtime import class_names as class_names_lib
from pattlite_jax.runtime import errors, parallel
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.runtime.origin import Origin
from pattlite_jax.scoring import logits as logits_lib
from pattlite_jax.scoring.logits import LogitsOf
from pattlite_jax.scoring.network import Predictors
from pattlite_jax.weights import (
  file_kinds,
  model_folder,
  safetensors_io,
  trunk,
)

# Fields that every version has had, without which the rest means nothing.
_ALWAYS = ("model.attention", "model.cut", "model.image_size")
_MAX_PIXELS = 4096  # A side.
_MAX_TEMPERATURE = 100


@dataclasses.dataclass(frozen=True)
class Trained:
  """The best weights of a run and what they were trained for."""

  variables: dict[str, Any]
  config: ml_collections.ConfigDict
  class_names: tuple[str, ...]
  # [H, W, C] of the training images; None in checkpoints that do not say.
  image_shape: tuple[int, int, int] | None = None
  history: Sequence[dict[str, Any]] = ()  # A record of each epoch.
  temperature: float = 1.0  # What `release` has fitted; divides the logits.

  @functools.cached_property
  def method(self) -> Method:
    """The method that the weights belong to, for scoring."""
    built = methods.build(self.config, len(self.class_names))
    return dataclasses.replace(built, temperature=self.temperature)

  @property
  def attention(self) -> str | None:
    """The attention mode that the weights were trained with.

    None where the method has no choice of it.
    """
    return self._mode("attention")

  @property
  def sharing(self) -> str | None:
    """What is shared over the batch, as the weights were trained; or None."""
    return self._mode("sharing")

  @property
  def patch_extraction(self) -> bool | None:
    """Whether it has the patches of PAtt-Lite; None of other methods."""
    return self._mode("patch_extraction")

  def _mode(self, field: str) -> Any:
    if self.config.method not in config_lib.FIELDS[f"model.{field}"].methods:
      return None
    return self.config.model[field]

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

  def predictors(self) -> Predictors:
    """Returns what gives the logits under each protocol there is."""
    return Predictors(
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

  def origin(self) -> Origin:
    """Returns the data set, a hash of the weights, and the networks before."""
    teachers = self.config.distillation.teachers.split(",")
    ancestors = filter(None, (self.config.start_from, *teachers))
    return Origin(self.config.data.name, self.sha256(), tuple(ancestors))

  def sha256(self) -> str:
    """Returns 16 hex digits that change with what is predicted.

    That is any weight, class name, or the temperature.
    """
    digest = hashlib.sha256(json.dumps(self.class_names).encode())
    if self.temperature != 1:
      digest.update(repr(self.temperature).encode())
    for leaf in jax.tree.leaves(self.variables):
      digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()[:16]

  @functools.cached_property
  def _predict(self):
    return self.predictor()  # Kept, as each one is compiled separately.


def load(path: epath.PathLike, setting: str = "checkpoint") -> Trained:
  """Loads a workdir, one step's directory, or what `model_folder.find` finds.

  `setting` is what an error names (`UserError.setting`).

  Raises:
    MissingFileError: if there is none, or a file of it is missing.
    UserError: if it is damaged, or its weights do not fit its config; if JAX
      has nothing to compute on.
  """
  require(path, setting)
  parallel.require_devices()
  with errors.about(setting):
    folder = model_folder.find(path)
    if folder:
      variables, described = model_folder.read(folder)
      where = str(folder / model_folder.CONFIG)
      _require_config(described, where)
      history = described.get("history", [])
    else:
      # Imported here, as Orbax takes long, and a model's folder needs none.
      from pattlite_jax.weights import checkpoint

      items = checkpoint.restore(path, ("best", "config", "progress"))
      variables, described = jax.device_get(items["best"]), items["config"]
      where = f"The config in the checkpoint at {path}"
      _require_config(described, where)
      history = _dict(items["progress"]).get("history")
      safetensors_io.require_weights(
        traverse_util.flatten_dict(_dict(variables), sep="/"),
        f"The weights in the checkpoint at {path}",
      )
    # The tests of the package have compared its own.
    known_to_fit = folder is not None and model_folder.is_shipped(folder)
    return _trained(
      variables, described, history, where, known_to_fit=known_to_fit
    )


def require(path: epath.PathLike, setting: str) -> None:
  """Raises MissingFileError, with what is there, if `load` finds no network."""
  if model_folder.find(path):
    return
  from pattlite_jax.weights import checkpoint

  if not checkpoint.is_there(path):
    raise MissingFileError(
      _what_is_missing(epath.Path(path).expanduser()), setting=setting
    )


def _dict(value: Any) -> dict[str, Any]:
  return value if isinstance(value, dict) else {}


def _require_config(described: Any, where: str) -> None:
  match described:
    case {"config": dict(), "class_names": [*_]}:
      return
  found = sorted(described) if isinstance(described, dict) else described
  raise UserError(
    f"{where} has {reprlib.repr(found)}, but must have a config, of fields, "
    "and class_names, a list."
  )


def _what_is_missing(path: epath.Path) -> str:
  """Says why there is no network at a path."""
  kinds = (
    "a run's workdir, one step's folder in it (checkpoints/1200), or a folder "
    f"with {model_folder.WEIGHTS} and {model_folder.CONFIG}"
  )
  if advice := file_kinds.advice(path):
    return advice
  if path.is_file():
    return f"{path} is a file, but a trained network is a folder: {kinds}."
  if (path / model_folder.CONFIG).is_file():
    return f"{path} has {model_folder.CONFIG}, but no {model_folder.WEIGHTS}."
  if path.is_dir():
    return f"No checkpoint in {path}: it is not {kinds}."
  shipped = ", ".join(model_folder.shipped())
  return (
    f"No checkpoint at {path}: there is no such folder. A trained network is "
    f"{kinds}. The networks that come with the package are: {shipped}."
  )


def _trained(
  variables: dict[str, Any],
  described: dict[str, Any],
  history: Any,
  where: str,
  *,
  known_to_fit: bool,
) -> Trained:
  """Returns a network of what was read; `where` begins what errors say.

  Weights that are not known to fit are compared with what the config describes.
  """
  config = _config(described["config"], where)
  names = class_names_lib.checked(described["class_names"], where)
  if not known_to_fit:  # To compare takes as long as to import JAX.
    shapes = methods.build(config, len(names)).shapes
    try:
      variables = trunk.select_layers(variables, shapes, all_used=True)
    except UserError as error:
      raise UserError(f"{where} describes another network. {error}") from error
  return Trained(
    variables,
    config,
    names,
    image_shape=_image_shape(described.get("image_shape"), where),
    history=_history(history, where),
    temperature=_temperature(described.get("temperature", 1.0), where),
  )


def _config(fields: dict[str, Any], where: str) -> ml_collections.ConfigDict:
  """Returns a saved config, of this or an older version."""
  try:
    config = config_lib.from_checkpoint(fields)
  except UserError as error:
    raise UserError(f"{where} cannot be used. {error}") from error
  missing = [name for name in _ALWAYS if name not in config_lib.flat(fields)]
  if missing:
    raise UserError(
      f"{where} cannot be used. Its config lacks {', '.join(missing)}, without "
      "which nobody knows what the weights compute."
    )
  return config


def _image_shape(saved: Any, where: str) -> tuple[int, int, int] | None:
  match saved:
    case [height, width, channels] if (
      all(type(size) is int for size in saved)
      and min(height, width) >= 1
      and max(height, width) <= _MAX_PIXELS
      and channels in (1, 3)
    ):
      return height, width, channels
    case None:  # The checkpoint is older than the field.
      return None
  raise UserError(
    f"{where} has the image_shape {reprlib.repr(saved)}, but must have "
    f"[height, width, 1 or 3], of at most {_MAX_PIXELS:,} pixels a side."
  )


def _temperature(saved: Any, where: str) -> float:
  if type(saved) in (int, float) and 0 < saved <= _MAX_TEMPERATURE:
    return float(saved)
  raise UserError(
    f"{where} has the temperature {reprlib.repr(saved)}, but must have a "
    f"number above 0 and at most {_MAX_TEMPERATURE}."
  )


def _history(saved: Any, where: str) -> Sequence[dict[str, Any]]:
  """Returns the records of the epochs; UserError for anything else."""
  records = saved if isinstance(saved, list | tuple) else [saved]
  for record in records:
    numbers = [v for k, v in _dict(record).items() if k != "stage"]
    if _dict(record).get("stage") not in STAGES or not all(
      type(number) in (int, float) for number in numbers
    ):
      raise UserError(
        f"{where} has a history with {reprlib.repr(record)}, but must have a "
        f"record of each epoch: its stage, {' or '.join(STAGES)}, and numbers."
      )
  return records
