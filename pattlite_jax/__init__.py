"""PAtt-Lite and honest evaluation for facial expression recognition."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from pattlite_jax.predict.classifier import Classifier

__version__ = "0.1.0"


def load(name: Any) -> "Classifier":
  """Loads a network: a shipped one's name, a run's workdir, a model's folder.

  `load("ferplus")(faces)` are probabilities; see `classifier.Classifier`.
  """
  from pattlite_jax.predict import classifier

  return classifier.load(name)
