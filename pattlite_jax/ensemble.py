"""Several trained networks that predict as one: their mean probabilities."""

import dataclasses
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

from pattlite_jax import trained
from pattlite_jax.data import class_names as class_names_lib
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring.network import Network, Predictors
from pattlite_jax.trained import Trained


@dataclasses.dataclass(frozen=True)
class Ensemble:
  """A `scoring.network.Network` of several, each seeing an image alone."""

  members: tuple[Trained, ...]  # With the classes of the first, in any order.
  attention: str | None = None  # Whatever that of its members is.
  sharing: str | None = None
  patch_extraction: bool | None = None

  @property
  def config(self) -> ml_collections.ConfigDict:
    """Returns the first one's, with the methods of all."""
    config = self.members[0].config.copy_and_resolve_references()
    config.method = " + ".join(n.config.method for n in self.members)
    return config

  @property
  def class_names(self) -> tuple[str, ...]:
    """Returns the classes of the logits."""
    return self.members[0].class_names

  def predictors(self) -> Predictors:
    """Returns what gives the logarithms of the mean probabilities."""
    each = [network.predictor_alone() for network in self.members]
    orders = [
      jnp.array(class_names_lib.columns(n.class_names, self.class_names))
      for n in self.members
    ]

    def logits_of(examples: Any, batch_size: int):
      logs = [
        jax.nn.log_softmax(logits(examples, batch_size))[:, order]
        for logits, order in zip(each, orders, strict=True)
      ]
      total = jax.nn.logsumexp(jnp.stack(logs), axis=0)
      return jax.device_get(total - jnp.log(len(each)))

    return Predictors(alone=logits_of, across_batch=None)


def load(names: str, setting: str = "checkpoint") -> Network:
  """Loads a network, or several with commas between their names as one.

  Raises:
    MissingFileError, UserError: as `trained.load`; if their classes differ.
  """
  is_one = "," not in names or pathlib.Path(names).exists()
  first, *others = (
    trained.load(name, setting)
    for name in ([names] if is_one else names.split(","))
  )
  if not others:
    return first
  for other in others:
    if not class_names_lib.columns(other.class_names, first.class_names):
      raise UserError(
        "The networks of an ensemble know the same classes, but the first "
        f"knows {', '.join(first.class_names)}, another "
        f"{', '.join(other.class_names)}.",
        setting=setting,
      )
  return Ensemble((first, *others))
