"""Steps that are taken several in a dispatch are those taken one by one.

To the bit, in programs as users have them: what makes the tests compile fast
adds up in another order where a step stands in a loop.
"""

import shutil

import jax
import numpy as np
import pytest
from small_run import StoppedError, fit, saved_best

from pattlite_jax.training import setup

pytestmark = pytest.mark.usefixtures("optimized")


@pytest.fixture
def config(small_config):
  small_config.checkpoint_every_steps = 2
  return small_config


def set_modern(config):
  """Sets every part of a stage's recipe that the published one lacks."""
  config.stage1.plateau_patience = 0
  config.stage1.trunk = "all"
  config.stage1.optimizer = "adamw"
  config.stage1.weight_decay = 0.1
  config.stage1.schedule = "cosine"
  config.stage1.warmup_epochs = 0.5
  config.stage1.ema_decay = 0.9
  config.stage1.label_smoothing = 0.1
  config.augment.random_rotation = 10.0
  config.augment.random_erasing = 0.5
  config.stage1.patience = 0
  config.stage1.epochs = 2
  config.stage2.epochs = 0


@pytest.mark.slow
def test_a_stopped_modern_run_ends_as_an_unbroken_one(config, splits):
  set_modern(config)
  unbroken, _ = fit(config, splits)
  weights = saved_best(config)
  rates = [record["learning_rate"] for record in unbroken["history"]]
  assert rates == sorted(rates, reverse=True)
  assert rates[0] < 1e-3 and 0 < rates[-1] < 5e-5
  start = setup.init_variables(config, 3)
  for name, leaf in weights["params"]["trunk"]["conv1_bn"].items():
    moved = np.abs(leaf - start["params"]["trunk"]["conv1_bn"][name])
    assert moved.max() > 1e-4, name
  jax.tree.map(
    np.testing.assert_array_equal,
    weights["batch_stats"]["trunk"],
    start["batch_stats"]["trunk"],
  )
  shutil.rmtree(config.workdir)
  config.steps_per_dispatch = 3
  with pytest.raises(StoppedError):
    fit(config, splits, stop_at=8)
  resumed, _ = fit(config, splits)
  assert resumed == unbroken
  jax.tree.map(np.testing.assert_array_equal, saved_best(config), weights)


@pytest.mark.long
@pytest.mark.slow
def test_steps_of_one_dispatch_are_the_same_steps(config, splits):
  config.stage2.trunk = "all_but_bn"
  config.log_every_steps = 1
  one_by_one, writer = fit(config, splits)
  weights = saved_best(config)
  shutil.rmtree(config.workdir)
  config.steps_per_dispatch = 3  # An epoch's 5 steps go as 3, 1 and 1.
  stacked, stacked_writer = fit(config, splits)
  assert stacked == one_by_one
  jax.tree.map(np.testing.assert_array_equal, saved_best(config), weights)
  ends = {step for step, scalars in stacked_writer.scalars if scalars}
  assert ends < {step for step, _ in writer.scalars}
