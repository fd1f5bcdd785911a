"""The callbacks against Keras' own."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pattlite_jax.training import callbacks


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
  plateau, stopping = callbacks.Plateau(), callbacks.EarlyStopping()
  trace = []
  for epoch, value in enumerate(values, start=first_epoch):
    plateau = callbacks.reduce_on_plateau(
      plateau,
      value,
      base=1e-3,
      patience=3,
      factor=0.1,
      min_delta=0.003,
      min_learning_rate=1e-6,
    )
    stopping = callbacks.early_stopping(
      stopping, epoch, value, patience=5, min_delta=0.003
    )
    rate = float(np.float32(1e-3 * plateau.factor))
    trace.append((rate, stopping.stopped))
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


def test_the_learning_rate_falls_to_its_floor_and_no_further():
  plateau = callbacks.Plateau()
  for _ in range(40):
    plateau = callbacks.reduce_on_plateau(
      plateau,
      0.5,
      base=1e-3,
      patience=3,
      factor=0.1,
      min_delta=0.003,
      min_learning_rate=1e-6,
    )
  assert 1e-3 * plateau.factor == pytest.approx(1e-6)


def test_patience_zero_never_stops_and_keeps_the_best():
  stopping = callbacks.EarlyStopping()
  for epoch, value in enumerate([0.5, 0.7, *[0.6] * 30]):
    stopping = callbacks.early_stopping(
      stopping, epoch, value, patience=0, min_delta=0.0
    )
  assert not stopping.stopped
  assert (stopping.best, stopping.best_epoch) == (0.7, 1)


def test_the_last_epoch_is_kept_whatever_its_figures():
  state = callbacks.EarlyStopping()
  for epoch, accuracy in enumerate([0.5, 0.9, 0.1]):
    value = callbacks.monitored({"val_accuracy": accuracy}, "last_epoch", epoch)
    state = callbacks.early_stopping(
      state, epoch, value, patience=0, min_delta=0.003
    )
    assert state.best_epoch == epoch and not state.stopped
