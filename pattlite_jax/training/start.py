"""The variables that a run starts from: ImageNet's, or a trained network's."""

from typing import Any

import ml_collections
import numpy as np
from flax import traverse_util

from pattlite_jax import trained
from pattlite_jax.data.class_names import index_in
from pattlite_jax.method import CLASSIFIER, Variables
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.training import setup
from pattlite_jax.weights import trunk

Place = tuple[str, ...]  # The names on the way to a module's parameters.


def require_networks(config: ml_collections.ConfigDict) -> None:
  """Raises, as loading them would, if a network that a run needs is not there.

  Raises:
    MissingFileError: for start_from and the teachers of distillation.
    UserError: also for model.trunk_weights, if they are damaged.
  """
  if config.start_from:
    trained.require(config.start_from, "start_from")
  for name in filter(None, config.distillation.teachers.split(",")):
    trained.require(name, "distillation.teachers")
  weights = config.model.trunk_weights
  if weights not in ("imagenet", "random") and not config.start_from:
    trunk.require(weights, config.model.trunk)


def load_network(name: str) -> dict[str, trained.Trained]:
  """Returns the network that `name` (config.start_from) is, by its name.

  Empty for "".

  Raises:
    MissingFileError, UserError: as `trained.load`.
  """
  return {name: trained.load(name, "start_from")} if name else {}


def variables(
  config: ml_collections.ConfigDict,
  network: dict[str, trained.Trained],
  class_names: tuple[str, ...],
) -> Variables:
  """Returns what the first stage starts from.

  Copies every weight of the network that `load_network` returned. Classifier
  columns of classes that it never saw keep their fresh initial values; angry
  is the class anger (`data.class_names`).

  Raises:
    UserError: if the network has another architecture.
  """
  fresh = setup.init_variables(config, len(class_names))
  if not network:
    return fresh
  (name, learned), *_ = network.items()
  own, place = _classifier(fresh)
  head, same_place = _classifier(learned.variables)
  given = learned.variables
  if place == same_place and _shapes(own) == _shapes(head):
    for column, class_name in enumerate(class_names):
      source = index_in(learned.class_names, class_name)
      if source is not None:
        for key in own:  # kernel [C, K], bias [K].
          own[key][..., column] = head[key][..., source]
    given = _with_classifier(learned.variables, place, own)
  try:
    return trunk.select_layers(given, fresh, all_used=True)
  except UserError as error:
    others = ", ".join(_other_values(learned.config, config))
    raise UserError(
      f"config.start_from names {name}, a network of another architecture. "
      f"{error} It was trained with {others or 'the same fields'}.",
      setting="start_from",
    ) from error


def _other_values(
  learned: ml_collections.ConfigDict, own: ml_collections.ConfigDict
) -> list[str]:
  """Returns flags with the values of a network's fields that this run lacks."""
  pairs = [("method", learned.method, own.method)] + [
    (f"model.{name}", value, own.model[name])
    for name, value in learned.model.items()
  ]
  return [
    f"--config.{name}={value}" for name, value, other in pairs if value != other
  ]


def _classifier(network: Variables) -> tuple[dict[str, np.ndarray], Place]:
  """Returns copies of the last layer's parameters, and where they are."""
  params: Any = traverse_util.flatten_dict(network["params"])
  found = {k: np.array(v) for k, v in params.items() if CLASSIFIER in k[-2:-1]}
  (place,) = {path[:-1] for path in found}
  return {path[-1]: value for path, value in found.items()}, place


def _shapes(classifier: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
  """Returns the shapes but for the classes."""
  return {name: value.shape[:-1] for name, value in classifier.items()}


def _with_classifier(
  network: Variables, place: Place, classifier: dict[str, np.ndarray]
) -> Variables:
  params: Any = traverse_util.flatten_dict(network["params"])
  own = {(*place, name): value for name, value in classifier.items()}
  return network | {"params": traverse_util.unflatten_dict(params | own)}
