"""The recipe against Keras' own optimizer and callbacks."""

import jax
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pattlite_jax.training import recipe


class FakeModel:
  """As much of a Keras model as the callbacks touch."""

  def __init__(self, learning_rate):
    self.optimizer = keras.optimizers.Adam(learning_rate)
    self.stop_training = False
    self.metrics = []
    self.weights = None
    self.epoch = -1

  def get_weights(self):
    return self.epoch

  def set_weights(self, weights):
    self.weights = weights


def keras_callbacks(values, first_epoch):
  """Returns [(rate, stopped)] an epoch, and the epoch restored."""
  model = FakeModel(1e-3)
  options = {"monitor": "val_accuracy", "mode": "max", "min_delta": 0.003}
  plateau = keras.callbacks.ReduceLROnPlateau(
    patience=3, factor=0.1, min_lr=1e-6, **options
  )
  stopping = keras.callbacks.EarlyStopping(
    patience=5, restore_best_weights=True, **options
  )
  callbacks = (plateau, stopping)
  for callback in callbacks:
    callback.set_model(model)
    callback.on_train_begin()
  trace = []
  for model.epoch, value in enumerate(values, start=first_epoch):
    for callback in callbacks:
      callback.on_epoch_end(model.epoch, {"val_accuracy": value})
    rate = float(np.asarray(model.optimizer.learning_rate))
    trace.append((rate, model.stop_training))
    if model.stop_training:
      break
  stopping.on_train_end()
  return trace, model.weights


def our_callbacks(values, first_epoch):
  plateau, stopping = recipe.Plateau(), recipe.EarlyStopping()
  rate, trace = 1e-3, []
  for epoch, value in enumerate(values, start=first_epoch):
    plateau, rate = recipe.reduce_on_plateau(
      plateau,
      rate,
      value,
      patience=3,
      factor=0.1,
      min_delta=0.003,
      min_learning_rate=1e-6,
    )
    stopping = recipe.early_stopping(
      stopping, epoch, value, patience=5, min_delta=0.003
    )
    trace.append((float(np.float32(rate)), stopping.stopped))
    if stopping.stopped:
      break
  return trace, stopping.best_epoch


# Steps of 0.001 land on both sides of min_delta, and on it.
accuracies = st.lists(
  st.integers(0, 12).map(lambda n: 0.5 + n / 1000), min_size=1, max_size=40
)


@settings(max_examples=60, deadline=None)
@given(values=accuracies, first_epoch=st.sampled_from([0, 0, 1, 7]))
def test_plateau_and_early_stopping_are_keras(values, first_epoch):
  expected = keras_callbacks(values, first_epoch)
  assert our_callbacks(values, first_epoch) == expected


def test_the_rate_falls_to_its_floor_and_no_further():
  plateau, rate = recipe.Plateau(), 1e-3
  for _ in range(40):
    plateau, rate = recipe.reduce_on_plateau(
      plateau,
      rate,
      0.5,
      patience=3,
      factor=0.1,
      min_delta=0.003,
      min_learning_rate=1e-6,
    )
  assert rate == pytest.approx(1e-6)


@pytest.mark.parametrize("epoch", [0, 1, 80, 499])
def test_decay_is_keras_inverse_time_decay(epoch):
  schedule = keras.optimizers.schedules.InverseTimeDecay(1e-5, 80, 1)
  expected = float(schedule(epoch))
  got = recipe.inverse_time_decay(1e-5, 80.0, epoch)
  assert got == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
  ("epochs_run", "expected"), [(100, 95), (5, 0), (3, 0), (0, 0)]
)
def test_stage_two_counts_on_from_the_fifth_last_epoch(epochs_run, expected):
  assert recipe.initial_epoch(epochs_run) == expected


def test_patience_zero_never_stops_and_keeps_the_best():
  stopping = recipe.EarlyStopping()
  for epoch, value in enumerate([0.5, 0.7, *[0.6] * 30]):
    stopping = recipe.early_stopping(
      stopping, epoch, value, patience=0, min_delta=0.0
    )
  assert not stopping.stopped
  assert (stopping.best, stopping.best_epoch) == (0.7, 1)


def test_cosine_rises_in_a_line_and_falls_to_zero():
  rates = [recipe.cosine(s, steps=24, warmup_steps=4) for s in range(24)]
  np.testing.assert_allclose(rates[:5], [0.25, 0.5, 0.75, 1, 1], rtol=1e-6)
  assert rates[14] == pytest.approx(0.5)  # Half of the way down.
  assert (np.diff(rates[4:]) < 0).all() and 0 < rates[-1] < 0.01


def test_cosine_without_a_warmup_starts_at_one():
  assert recipe.cosine(0, steps=10, warmup_steps=0) == 1


def test_class_weights_are_balanced():
  counts = np.array([10, 30, 0, 60])
  weights = recipe.balanced_class_weights(counts)
  np.testing.assert_allclose(weights, [2.5, 100 / 120, 1, 100 / 240], rtol=1e-6)
  assert (weights * counts)[[0, 1, 3]].std() < 1e-4


def test_trainable_follows_the_trunk_field():
  params = {
    "trunk": {"conv1": {"kernel": 0}, "conv1_bn": {"scale": 0, "bias": 0}},
    "patch_extraction": {"patch3": {"kernel": 0}},
  }
  frozen = recipe.trainable(params, "frozen")
  assert jax.tree.leaves(frozen["trunk"]) == [False] * 3
  assert frozen["patch_extraction"]["patch3"]["kernel"] is True
  tuned = recipe.trainable(params, "all_but_bn")
  assert tuned["trunk"]["conv1"]["kernel"] is True
  assert jax.tree.leaves(tuned["trunk"]["conv1_bn"]) == [False] * 2
  assert all(jax.tree.leaves(recipe.trainable(params, "all")))
  with pytest.raises(ValueError, match=r"'half'.*frozen, all_but_bn, all"):
    recipe.trainable(params, "half")
