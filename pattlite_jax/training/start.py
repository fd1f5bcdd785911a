"""The variables that a run starts from: ImageNet's, or a trained network's."""

from typing import Any

import ml_collections
import numpy as np

from pattlite_jax import trained
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.training import setup
from pattlite_jax.weights import trunk


def load_network(name: str) -> dict[str, trained.Trained]:
  """Returns the network that `name` (config.start_from) is, by its name.

  Empty for "".

  Raises:
    MissingFileError, UserError: as `trained.load`.
  """
  return {name: trained.load(name)} if name else {}


def variables(
  config: ml_collections.ConfigDict,
  network: dict[str, trained.Trained],
  class_names: tuple[str, ...],
) -> dict[str, Any]:
  """Returns what the first stage starts from.

  Of `load_network`'s network it is all weights, but those of the classifier
  for classes that it did not learn, which are drawn from `config.seed`.

  Raises:
    UserError: if the network has another architecture.
  """
  fresh = setup.init_variables(config, len(class_names))
  if not network:
    return fresh
  (name, learned), *_ = network.items()
  head = _classifier(learned.variables)
  own = {key: np.array(value) for key, value in _classifier(fresh).items()}
  for column, class_name in enumerate(class_names):
    if class_name in learned.class_names:
      source = learned.class_names.index(class_name)
      for key in own:  # kernel [C, K], bias [K].
        own[key][..., column] = head[key][..., source]
  try:
    return trunk.select_layers(_with_classifier(learned.variables, own), fresh)
  except UserError as error:
    raise UserError(
      f"config.start_from names {name}, a network of another architecture. "
      f"{error} Give config.model the values that it was trained with."
    ) from error


def _classifier(network: dict[str, Any]) -> dict[str, Any]:
  return network["params"]["attention_classifier"]["classifier"]


def _with_classifier(
  network: dict[str, Any], classifier: dict[str, Any]
) -> dict[str, Any]:
  params = network["params"]
  head = params["attention_classifier"] | {"classifier": classifier}
  return network | {"params": params | {"attention_classifier": head}}
