"""The learning rate of every step: a pure function, and what the run takes."""

import keras
import numpy as np
import pytest
from small_run import fit

from pattlite_jax.training import resume
from pattlite_jax.training.learning_rate import LearningRate
from pattlite_jax.training.progress import Progress
from pattlite_jax.weights import checkpoint


@pytest.mark.parametrize("epoch", [0, 1, 80, 499])
def test_decay_is_keras_inverse_time_decay(epoch):
  schedule = keras.optimizers.schedules.InverseTimeDecay(1e-5, 80, 1)
  rate = LearningRate(1e-5, "by_epoch", 10, 500, decay_epochs=80.0)
  expected = float(schedule(epoch))
  for step in (10 * epoch, 10 * epoch + 9):
    assert rate(step) == pytest.approx(expected, rel=1e-6)
  later = LearningRate(
    1e-5, "by_epoch", 10, 500, decay_epochs=80.0, first_epoch=epoch
  )
  assert later(0) == pytest.approx(expected, rel=1e-6)


def cosine(num_epochs, warmup_epochs):
  return LearningRate(2.0, "cosine", 4, num_epochs, warmup_epochs=warmup_epochs)


def test_cosine_rises_in_a_line_and_falls_to_zero():
  rate = cosine(6, 1.0)
  rates = [rate(step) for step in range(24)]
  np.testing.assert_allclose(rates[:5], [0.5, 1.0, 1.5, 2, 2], rtol=1e-6)
  assert rates[14] == pytest.approx(1.0)  # Half of the way down.
  assert (np.diff(rates[4:]) < 0).all() and 0 < rates[-1] < 0.02


def test_cosine_without_a_warmup_starts_at_its_base():
  assert cosine(3, 0.0)(0) == 2.0


def test_steps_are_those_of_pytorchs_schedulers():
  by_ten = LearningRate(0.1, "by_epoch", 2, 40, step_epochs=10, step_factor=0.1)
  rates = [by_ten(2 * epoch) for epoch in (0, 9, 10, 19, 20, 39)]
  expected = [0.1, 0.1, 0.01, 0.01, 1e-3, 1e-4]
  np.testing.assert_allclose(rates, expected, rtol=1e-6)
  each = LearningRate(1.0, "by_epoch", 2, 3, step_epochs=1, step_factor=0.9)
  rates = [each(step) for step in range(6)]
  np.testing.assert_allclose(rates, [1, 1, 0.9, 0.9, 0.81, 0.81], rtol=1e-6)


def test_a_plateau_lowers_every_step():
  for rate in (cosine(6, 1.0), LearningRate(1.0, "by_epoch", 4, 6)):
    steps = range(24)
    lowered = [rate(step, 0.1) for step in steps]
    expected = [0.1 * rate(step) for step in steps]
    np.testing.assert_allclose(lowered, expected, rtol=1e-6)


@pytest.mark.parametrize(
  ("epochs_run", "expected"), [(100, 95), (5, 0), (3, 0), (0, 0)]
)
def test_stage_two_counts_on_from_the_fifth_last_epoch(epochs_run, expected):
  """history.epoch[-5] of the notebook."""
  progress = Progress(stage_epochs=epochs_run, epochs=epochs_run).enter(1)
  assert progress.first_epoch == progress.epoch == expected
  assert progress.epochs_before == epochs_run


@pytest.mark.slow
def test_the_run_takes_and_records_the_learning_rate(quick_config, splits):
  quick_config.stage1.plateau_patience = 1
  quick_config.stage1.min_delta = 0.99  # No epoch is good enough.
  quick_config.stage1.epochs = 3
  result, writer = fit(quick_config, splits)
  recorded = [record["learning_rate"] for record in result["history"]]
  np.testing.assert_allclose(recorded, [1e-3, 1e-3, 1e-4], rtol=1e-6)
  logged = [
    s["learning_rate"] for _, s in writer.scalars if "learning_rate" in s
  ]
  assert logged == recorded
  with checkpoint.open_manager(quick_config.workdir) as manager:
    _, saved = checkpoint.restore_newest(manager, resume.ITEMS)
  taken = saved["state"]["opt_state"]["hyperparams"]["learning_rate"]
  assert taken == np.float32(recorded[-1])
