"""Averaged weights: their formula, and that they are what is kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_run import fit, saved_best

from pattlite_jax import methods
from pattlite_jax.scoring import logits as logits_lib
from pattlite_jax.scoring import metrics
from pattlite_jax.training import ema, resume
from pattlite_jax.weights import checkpoint


def test_the_average_of_a_constant_is_reached_soon():
  mean = ema.start({"a": jnp.zeros(2), "b": None})
  for _ in range(30):
    mean = ema.update(mean, {"a": jnp.ones(2), "b": None}, decay=0.9999)
  assert mean.count == 30
  # Without the warm-up it would be 0.003.
  assert 0.99 < float(mean.values["a"][0]) < 1


def test_the_average_is_the_weighted_sum_of_its_steps():
  values = [3.0, -1.0, 4.0, 1.0, -5.0]
  mean = ema.start({"a": jnp.array(2.0)})
  expected = 2.0
  for t, value in enumerate(values):
    mean = ema.update(mean, {"a": jnp.array(value)}, decay=0.2)
    decay = min(0.2, (1 + t) / (10 + t))
    expected = decay * expected + (1 - decay) * value
  np.testing.assert_allclose(mean.values["a"], expected, rtol=1e-6)


@pytest.mark.slow
def test_the_averaged_weights_are_validated_and_kept(quick_config, splits):
  quick_config.stage1.epochs = 1
  quick_config.stage1.ema_decay = 0.9
  result, _ = fit(quick_config, splits)
  with checkpoint.open_manager(quick_config.workdir) as manager:
    _, saved = checkpoint.restore_newest(manager, resume.ITEMS)
  best, state = saved["best"]["params"], saved["state"]
  averaged = state["average"]["values"]
  jax.tree.map(
    np.testing.assert_array_equal,
    saved["best"]["batch_stats"],
    averaged["batch_stats"],
  )
  means = averaged["params"]["attention_classifier"]
  own = state["params"]["attention_classifier"]
  for found, mean, last in zip(
    *map(jax.tree.leaves, (best["attention_classifier"], means, own)),
    strict=True,
  ):
    np.testing.assert_array_equal(found, mean)
    assert np.ndim(last) == 0 or not np.array_equal(mean, last)
  method = methods.build(quick_config, 3)
  logits = logits_lib.Predictor(method, method.network)(
    saved_best(quick_config),
    splits["validation"],
    batch_size=32,
  )
  scores = metrics.score(logits, splits["validation"].labels)
  assert result["history"][0]["val_loss"] == scores["loss"]
