"""A step that is not finite changes nothing and ends the run."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from small_run import fit

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import pipeline
from pattlite_jax.method import Method
from pattlite_jax.runtime import parallel
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring import metrics
from pattlite_jax.training import dispatch, optimizer, setup
from pattlite_jax.training import step as step_lib
from pattlite_jax.weights import checkpoint

NEVER_FINITE = 1e39  # A learning rate that is infinite in float32.


def leaves(state):
  return [np.array(x) for x in jax.tree.leaves(state)]


@pytest.fixture
def taking_steps(small_config, make_examples):
  """Returns (state, f(state, weights) -> (state, metrics)); weights[c] are
  those of the loss of class c.
  """
  train = make_examples(4)
  stage = setup.stage(small_config, "stage1", train)
  state = stage.start(setup.init_variables(small_config, 3))

  def step(state, batch, weights):
    def loss(outputs, batch, progress):
      losses, terms = stage.method.loss(outputs, batch, progress)
      return losses * weights[batch["label"]], terms

    method = dataclasses.replace(stage.method, loss=loss)
    spoilt = dataclasses.replace(stage, method=method)
    return spoilt.step(state, batch, jax.random.key(0))

  batch = examples_lib.gather(train, np.arange(4))
  mapped = jax.pmap(
    step,
    axis_name=parallel.AXIS,
    in_axes=(None, 0, None),
    out_axes=None,
  )
  (batch,) = parallel.device_batches([batch])
  return state, lambda state, weights: mapped(state, batch, jnp.array(weights))


@pytest.mark.slow
@pytest.mark.parametrize(
  "bad", [np.nan, np.inf, 1e38], ids=["nan", "inf", "overflow"]
)
def test_the_last_finite_state_stays(taking_steps, bad):
  state, take = taking_steps
  good, sums = take(state, [1.0, 1.0, 1.0])
  assert good.finite and good.step == 1 and sums.count == 4
  kept, sums = take(good, [bad, bad, bad])
  assert not kept.finite
  assert metrics.add(metrics.zero(), sums) == metrics.zero()
  expected = dataclasses.replace(good, finite=kept.finite)
  for mine, other in zip(leaves(kept), leaves(expected), strict=True):
    np.testing.assert_array_equal(mine, other)
  # And for good: a later batch without fault changes nothing either.
  after, sums = take(kept, [1.0, 1.0, 1.0])
  assert not after.finite and sums.count == 0
  for mine, other in zip(leaves(after), leaves(kept), strict=True):
    np.testing.assert_array_equal(mine, other)


class Tiny(nn.Module):
  """Two classes from one number; counts its calls, times `statistic`."""

  statistic: float

  @nn.compact
  def __call__(self, views, mask, train=False):
    calls = self.variable("batch_stats", "calls", lambda: jnp.zeros(()))
    calls.value += self.statistic
    return {"logits": nn.Dense(2, name="classifier")(views)}


def tiny_step(*, loss=0.0, gradient=0.0, rate=0.0, statistic=1.0):
  """Takes a step that has these values somewhere; returns (before, after)."""
  network = Tiny(statistic)

  def losses(outputs, batch, progress):
    logits = outputs["logits"]
    zero = (logits - jax.lax.stop_gradient(logits)).sum(1)
    # The square root of 0 is 0, but has no gradient.
    spoilt = zero if np.isfinite(gradient) else jnp.sqrt(zero**2)
    return loss + spoilt, {}

  method = Method(
    network=network,
    alone=network,
    init=lambda key: network.init(key, jnp.ones((1, 1)), None),
    views=lambda keys, images: images,
    prepare=lambda images: images,
    loss=losses,
  )
  variables = method.init(jax.random.key(0))
  trainable = jax.tree.map(lambda _: True, variables["params"])
  tx = optimizer.make("sgd", rate, global_clipnorm=0.0)
  state = step_lib.create_state(variables, tx, trainable)
  batch = {
    "image": jnp.ones((1, 4, 1)),
    "label": jnp.zeros((1, 4), jnp.int32),
    "mask": jnp.ones((1, 4), bool),
  }

  def step(batch):
    return step_lib.train_step(
      state,
      batch,
      jax.random.key(0),
      method=method,
      tx=tx,
      trainable=trainable,
      first_step=0,
      num_steps=1,
    )[0]

  after = jax.vmap(step, axis_name=parallel.AXIS)(batch)
  return state, jax.tree.map(lambda x: x[0], after)


def test_a_step_with_all_finite_is_taken():
  _, after = tiny_step()
  assert after.finite and after.step == 1
  assert after.batch_stats["calls"] == 2  # One by `init`.


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["loss", "gradient", "rate", "statistic"])
def test_each_part_of_a_step_is_looked_at(where, bad):
  """Here one part alone is not finite; the others are."""
  before, after = tiny_step(**{where: bad})
  assert not after.finite
  expected = dataclasses.replace(before, finite=after.finite)
  jax.tree.map(np.testing.assert_array_equal, after, expected)


def batch_ids(config, train, step):
  """The images that `pipeline` gives the step, counted from 1."""
  batches = pipeline.train_batches(
    train, batch_size=config.batch_size, seed=config.seed, first_step=step - 1
  )
  batch = next(batches)
  by_image = {
    image.tobytes(): name
    for image, name in zip(train.images, train.ids, strict=True)
  }
  images = batch["image"][batch["mask"]]
  return [by_image[image.tobytes()] for image in images]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_run_names_step_and_images_and_may_be_mended(quick_config, splits):
  quick_config.stage1.learning_rate = NEVER_FINITE
  quick_config.checkpoint_every_steps = 3
  ids = batch_ids(quick_config, splits["train"], 1)
  for _ in range(2):  # Starting again ends at the same step.
    with pytest.raises(UserError) as caught:
      fit(quick_config, splits)
    message = str(caught.value)
    assert re.search(r"\bstep 1 are not finite", message)
    assert ", ".join(ids) in message
    for word in ("--config.stage1.learning_rate", "--config.resume=force"):
      assert word in message
    with checkpoint.open_manager(quick_config.workdir) as manager:
      assert manager.all_steps() == [0]
  quick_config.stage1.learning_rate = 1e-3
  quick_config.resume = "force"
  mended, _ = fit(quick_config, splits)
  quick_config.workdir += "_unbroken"
  unbroken, _ = fit(quick_config, splits)
  assert mended.pop("config_changes")[0]["new"] == 1e-3
  assert unbroken.pop("config_changes") == []
  assert mended == unbroken


@pytest.mark.slow
def test_a_later_step_is_named_with_its_images(
  quick_config, splits, monkeypatch
):
  """The seventh, a step of the second epoch, whose sums hold good steps too."""
  quick_config.log_every_steps = 100
  real = dispatch.mapped

  def mapped(step):
    take_steps = real(step)

    def spoilt(state, stack, *shared):
      if int(state.step) == 6:
        bad = jax.tree.map(np.array, state)  # A copy, as steps donate.
        bad.params["attention_classifier"]["classifier"]["bias"][0] = np.nan
        after, sums = take_steps(parallel.replicate(bad), stack, *shared)
        return dataclasses.replace(state, finite=after.finite), sums
      return take_steps(state, stack, *shared)

    return spoilt

  monkeypatch.setattr(dispatch, "mapped", mapped)
  with pytest.raises(UserError, match="step 7 are not") as caught:
    fit(quick_config, splits)
  ids = batch_ids(quick_config, splits["train"], 7)
  assert ", ".join(ids) in str(caught.value)
  monkeypatch.undo()
  with checkpoint.open_manager(quick_config.workdir) as manager:
    assert manager.latest_step() == 6
  resumed, _ = fit(quick_config, splits)
  quick_config.workdir += "_unbroken"
  assert resumed == fit(quick_config, splits)[0]
