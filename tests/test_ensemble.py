"""Several networks as one."""

import jax
import numpy as np
import pytest

from pattlite_jax import config as config_lib
from pattlite_jax import ensemble
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.scoring import protocols
from pattlite_jax.scoring.inputs import Inputs
from pattlite_jax.scoring.network import Network
from pattlite_jax.trained import Trained
from pattlite_jax.training import setup
from pattlite_jax.weights import model_folder

CLASS_NAMES = ("anger", "disgust", "happiness")


@pytest.fixture
def make_network():
  def make(seed, class_names=CLASS_NAMES, attention="none"):
    config = config_lib.get_config()
    config.seed = seed
    config.data.name = "synthetic_faces"
    config.model.image_size = 24
    config.model.cut = "conv_pw_1_relu"
    config.model.attention = attention
    variables = setup.random_variables(config, 3)
    return Trained(variables, config, class_names)

  return make


def test_an_ensemble_predicts_the_mean_probabilities(
  make_network, make_examples
):
  reordered = ("happiness", "anger", "disgust")
  # Mixing its batch, which a network does not in an ensemble.
  networks = (make_network(0), make_network(1, reordered, attention="batch"))
  faces = make_examples(5)
  found = ensemble.Ensemble(networks).predictors().alone(faces, 2)
  first, second = (
    np.asarray(jax.nn.softmax(network.predictor_alone()(faces, 4)))
    for network in networks
  )
  expected = (first + second[:, [1, 2, 0]]) / 2
  np.testing.assert_allclose(np.exp(found), expected, rtol=1e-5)


def test_an_ensemble_is_scored_as_a_network(make_network, make_examples):
  network = ensemble.Ensemble((make_network(0), make_network(1)))
  assert isinstance(network, Network)
  inputs = Inputs(network, "synthetic_faces", "test", make_examples(6), ())
  result, predictions = protocols.evaluate(
    inputs, protocols.Batches("official", 4, 0)
  )
  assert result["method"] == "pattlite + pattlite"
  assert result["attention"] is None
  right = predictions["logits"].argmax(-1) == inputs.examples.labels
  figures = result["splits"]["test"]["per_sample"]
  assert figures["accuracy"] == pytest.approx(right.mean())


def save(folder, network):
  described = {
    "config": network.config.to_dict(),
    "class_names": list(network.class_names),
    "image_shape": [16, 16, 1],
  }
  model_folder.write(folder, network.variables, described)
  return str(folder)


def test_names_with_commas_between_are_an_ensemble(make_network, tmp_path):
  a, b = (save(tmp_path / str(seed), make_network(seed)) for seed in (0, 1))
  one = ensemble.load(a)
  assert isinstance(one, Trained)
  both = ensemble.load(f"{a},{b}")
  assert [n.config.seed for n in both.members] == [0, 1]
  # A folder's own name comes first.
  odd = save(tmp_path / "a,b", make_network(2))
  assert ensemble.load(odd).config.seed == 2


def test_what_cannot_be_an_ensemble_is_named(make_network, tmp_path):
  a = save(tmp_path / "a", make_network(0))
  other = save(tmp_path / "b", make_network(1, ("anger", "disgust", "fear")))
  with pytest.raises(UserError, match="knows anger, disgust, happiness, anoth"):
    ensemble.load(f"{a},{other}")
  with pytest.raises(MissingFileError, match="nowhere"):
    ensemble.load(f"{a},{tmp_path}/nowhere")
