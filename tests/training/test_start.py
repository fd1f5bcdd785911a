"""Runs that start from a trained network."""

import dataclasses
import pathlib

import jax
import numpy as np
import pytest
from small_run import StoppedError, fit, saved_best

from pattlite_jax import trained
from pattlite_jax.config import files as config_files
from pattlite_jax.models import mobilenet_v1_layers
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.runtime.origin import Origin
from pattlite_jax.training import loop, setup, start
from pattlite_jax.weights import model_folder

NAMES = ("anger", "disgust", "happiness")


@pytest.fixture
def learned(small_config):
  """A network whose every weight is drawn, of two of NAMES and another."""
  rng = np.random.default_rng(0)
  variables = jax.tree.map(
    lambda x: rng.normal(size=x.shape).astype(x.dtype),
    jax.device_get(setup.init_variables(small_config, 3)),
  )
  config = small_config.copy_and_resolve_references()
  return trained.Trained(variables, config, ("happiness", "fear", "anger"))


def classifier(variables):
  return variables["params"]["attention_classifier"]["classifier"]


def test_without_a_network_it_is_imagenets_trunk(small_config):
  assert start.load_network("") == {}
  jax.tree.map(
    np.testing.assert_array_equal,
    start.variables(small_config, {}, NAMES),
    setup.init_variables(small_config, 3),
  )


def test_all_weights_are_the_networks_but_of_classes_new_to_it(
  small_config, learned
):
  started = start.variables(small_config, {"a": learned}, NAMES)
  fresh = setup.init_variables(small_config, 3)
  for key in ("kernel", "bias"):
    own, theirs, new = (
      classifier(v)[key] for v in (started, learned.variables, fresh)
    )
    np.testing.assert_array_equal(own[..., 0], theirs[..., 2])  # Anger.
    np.testing.assert_array_equal(own[..., 2], theirs[..., 0])  # Happiness.
    np.testing.assert_array_equal(own[..., 1], new[..., 1])  # Disgust is new.
  classifier(started).update(classifier(learned.variables))
  jax.tree.map(np.testing.assert_array_equal, started, learned.variables)


@pytest.mark.slow
def test_the_number_of_classes_may_differ(small_config, learned):
  started = start.variables(small_config, {"a": learned}, (*NAMES, "contempt"))
  assert classifier(started)["kernel"].shape == (32, 4)
  assert classifier(learned.variables)["kernel"].shape == (32, 3)


@pytest.mark.slow
def test_another_architecture_is_refused(small_config, learned):
  small_config.model.cut = "conv_pw_2_relu"
  with pytest.raises(
    UserError,
    match=r"names a, .*lack .*conv_.*with --config\.model\.cut=conv_pw_1_relu",
  ):
    start.variables(small_config, {"a": learned}, NAMES)


def test_a_network_with_more_layers_is_refused(small_config):
  """Without its batch norm, a network would start as quite another one."""
  small_config.model.patch_batch_norm = True
  own = small_config.copy_and_resolve_references()
  own.model.patch_batch_norm = False
  learned = trained.Trained(
    setup.init_variables(small_config, 3), small_config, NAMES
  )
  with pytest.raises(
    UserError,
    match=r"nothing takes their .*patch1_bn/.* was trained with "
    r"--config\.model\.patch_batch_norm=True\.",
  ):
    start.variables(own, {"a": learned}, NAMES)


@pytest.mark.parametrize("name", model_folder.shipped())
def test_own_folders_start_from_all_that_a_shipped_network_is(name):
  config = config_files.load("folders")
  learned = trained.load(name)
  started = start.variables(config, {name: learned}, learned.class_names)
  found = dataclasses.replace(learned, variables=started, config=config)
  faces = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 1), np.uint8)
  np.testing.assert_array_equal(found.logits(faces), learned.logits(faces))


@pytest.mark.parametrize(
  ("changes", "setting", "message"),
  [
    ({"start_from": "gone"}, "start_from", "No checkpoint at gone"),
    (
      {"distillation.teachers": "ferplus,none"},
      "distillation.teachers",
      "No checkpoint at none",
    ),
    (
      {"model.trunk_weights": "none.safetensors"},
      "model.trunk_weights",
      "No weights file at none",
    ),
    (
      {
        "model.trunk_weights": "none.pth",
        "model.trunk": "resnet18",
        "model.cut": mobilenet_v1_layers.PATT_LITE_CUT,
      },
      "model.trunk_weights",
      "No weights file at none",
    ),
  ],
)
def test_a_network_that_is_not_there_is_missed_before_the_data_are_read(
  small_config, changes, setting, message
):
  with small_config.unlocked():
    small_config.update_from_flattened_dict(changes)
  small_config.data.name = "no such set"  # Which would be an error, too.
  with pytest.raises(MissingFileError, match=message) as caught:
    loop.train_and_evaluate(small_config)
  assert caught.value.setting == setting


@pytest.mark.parametrize("name", ["random", "resnet18.pth"])
def test_weights_that_are_no_mobilenets_are_no_error_before_the_data_are_read(
  small_config, tmp_path, name
):
  if name != "random":
    small_config.model.trunk = "resnet18"
    name = str(tmp_path / name)
    pathlib.Path(name).write_bytes(b"read only once the network is built")
  small_config.model.trunk_weights = name
  start.require_networks(small_config)


def test_a_start_from_a_network_needs_no_trunks_file(small_config):
  small_config.start_from = "ferplus"
  small_config.model.trunk_weights = "none.safetensors"
  start.require_networks(small_config)


@pytest.mark.parametrize("method", ["baseline", "arm", "cbam_rul"])
def test_a_network_of_another_method_is_refused(small_config, learned, method):
  small_config.method = method
  with pytest.raises(UserError, match="names a, a network of another archit"):
    start.variables(small_config, {"a": learned}, NAMES)


def test_a_networks_origin_names_those_before_it(learned):
  before = learned.origin()
  assert before == Origin("synthetic_faces", learned.sha256(), ())
  learned.config.start_from = "ferplus"
  learned.config.distillation.teachers = "a,b"
  assert learned.origin() == dataclasses.replace(
    before, ancestors=("ferplus", "a", "b")
  )


@pytest.mark.slow
def test_a_run_starts_where_another_ended_and_belongs_to_it(
  quick_config, splits, tmp_path
):
  fit(quick_config, splits)
  config = quick_config.copy_and_resolve_references()
  config.workdir = str(tmp_path / "second")
  config.start_from = quick_config.workdir
  config.stage1.learning_rate = 0.0
  result, _ = fit(config, splits)
  jax.tree.map(  # Nothing but batch norm's statistics can move.
    np.testing.assert_array_equal,
    saved_best(config)["params"],
    saved_best(quick_config)["params"],
  )
  ((name, origin),) = result["started_from"].items()
  assert name == quick_config.workdir
  network = trained.load(quick_config.workdir)
  assert Origin.from_json(origin) == network.origin()

  config.workdir = str(tmp_path / "third")
  with pytest.raises(StoppedError):
    fit(config, splits, stop_at=8)
  config.start_from = ""
  with pytest.raises(ValueError, match=r" start_from: .* -> \n"):
    fit(config, splits)
