"""One training step of a network so small that its step is known by hand.

It gives w x for a number x, with the square of w x - label as an image's loss,
and `progress * w` as a term. Devices are rows of `jax.vmap`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from pattlite_jax.method import Method
from pattlite_jax.runtime import parallel
from pattlite_jax.training import step as step_lib

RATE, W, FIRST, STEPS = 0.1, 1.5, 20, 10
X = np.array([2, 3, 1, 5], np.uint8)
LABELS = np.array([1, 0, 1, 1], np.int32)
MASK = np.array([True, True, True, False])  # The last is padding.


class Line(nn.Module):
  """Logits [w x, 0]; counts the rows that it saw in training."""

  @nn.compact
  def __call__(self, x, mask=None, *, train=False):
    w = self.param("w", lambda _: jnp.float32(W))
    bias = self.param("bias", lambda _: jnp.float32(0))
    seen = self.variable("batch_stats", "seen", lambda: jnp.float32(0))
    if train and not self.is_initializing():
      seen.value += jax.lax.psum(mask.sum(), parallel.AXIS)
    y = w * x + bias
    return {"logits": jnp.stack([y, jnp.zeros_like(y)], -1), "w": w}


def loss(outputs, batch, progress):
  y = outputs["logits"][:, 0]
  return jnp.square(y - batch["label"]), {"pull": progress * outputs["w"]}


def line(views=lambda keys, images: images[:, 0, 0, 0] * 1.0, **fields):
  network = Line()
  return Method(
    network=network,
    alone=network,
    init=lambda key: network.init(key, jnp.zeros(1)),
    views=views,
    prepare=lambda images: images[:, 0, 0, 0] * 1.0,
    loss=loss,
    **fields,
  )


def start(at=FIRST + 3, **options):
  variables = line().init(jax.random.key(0))
  trainable = {"w": True, "bias": False}
  return step_lib.create_state(
    variables, optax.sgd(RATE), trainable, at, **options
  )


def batches(devices, **fields):
  whole = {"image": X[:, None, None, None], "label": LABELS, "mask": MASK}
  return {
    name: x.reshape(devices, -1, *x.shape[1:])
    for name, x in (whole | fields).items()
  }


def take(state, batch, method=None, teachers=(), **options):
  step = functools.partial(
    step_lib.train_step,
    method=method or line(),
    tx=optax.sgd(RATE),
    trainable={"w": True, "bias": False},
    first_step=FIRST,
    num_steps=STEPS,
    **options,
  )
  mapped = jax.jit(
    jax.vmap(
      lambda *given: step(*given, teachers),
      in_axes=(None, 0, None),
      axis_name=parallel.AXIS,
    )
  )
  found = jax.device_get(mapped(state, batch, jax.random.key(7)))
  for leaf in jax.tree.leaves(found):  # All devices have the same.
    np.testing.assert_array_equal(leaf, np.broadcast_to(leaf[:1], leaf.shape))
  return jax.tree.map(lambda x: x[0], found)


def gradient(x=X, labels=LABELS, w=W, progress=0.3):
  x, y = x[MASK].astype(float), labels[MASK]
  return np.mean(2 * x * (w * x - y)) + progress


@pytest.mark.parametrize("devices", [1, 2])
def test_a_step_is_that_of_the_mean_loss_and_its_terms(devices):
  state, metrics = take(start(), batches(devices))
  assert state.step == FIRST + 4 and state.finite
  assert state.params["w"] == pytest.approx(W - RATE * gradient(), rel=1e-6)
  assert state.params["bias"] == 0  # It is not trained.
  assert state.batch_stats["seen"] == 3
  total = np.square(W * X - LABELS)[MASK].sum() + 3 * 0.3 * W
  assert metrics.loss_sum == pytest.approx(total, rel=1e-6)
  assert metrics.count == 3
  assert metrics.correct == (LABELS[MASK] == 0).sum()
  assert metrics.terms["pull"] == pytest.approx(3 * 0.3 * W, rel=1e-6)


def test_the_average_follows_what_is_trained_and_the_statistics():
  state, _ = take(start(averaged=True), batches(1), ema_decay=0.9)
  # The first step's decay is 1 / 10.
  moved = 0.9 * (state.params["w"] - W)
  assert state.variables["params"]["w"] == pytest.approx(W + moved, rel=1e-6)
  assert state.variables["params"]["bias"] == 0
  assert state.variables["batch_stats"]["seen"] == pytest.approx(0.9 * 3)
  assert state.average.count == 1


@pytest.mark.parametrize("where", ["image", "term", "loss"])
def test_what_is_not_finite_changes_nothing_from_then_on(where):
  def broken(outputs, batch, progress):
    losses, terms = loss(outputs, batch, progress)
    bad = jnp.where(batch["label"][0] == 9, jnp.nan, 1.0)
    if where == "loss":  # Whose gradient is as ever.
      return losses + jax.lax.stop_gradient(bad - 1), terms
    if where == "term":
      return losses, {"pull": terms["pull"] * bad}
    return losses * bad, terms

  method = line()
  method = Method(**{**vars(method), "loss": broken})
  before = start(averaged=True)
  labels = np.where(MASK, 9, 0).astype(np.int32)
  state, metrics = take(before, batches(1, label=labels), method, ema_decay=0.9)
  assert not state.finite and metrics.count == metrics.loss_sum == 0
  kept = jax.device_get(before)
  for name in ("step", "params", "batch_stats", "average"):
    old, new = getattr(kept, name), getattr(state, name)
    jax.tree.map(np.testing.assert_array_equal, old, new)
  # A step that were finite comes too late.
  state, metrics = take(state, batches(1), method, ema_decay=0.9)
  assert not state.finite and state.step == kept.step and metrics.count == 0


def test_draws_are_of_the_step_and_of_the_row_in_the_global_batch():
  def views(keys, images):
    return jax.vmap(jax.random.uniform)(keys) + images[:, 0, 0, 0]

  drawing = line(views)
  one, two = (take(start(), batches(d), drawing)[1] for d in (1, 2))
  assert one.loss_sum == pytest.approx(two.loss_sum, rel=1e-6)
  later = take(start(FIRST + 4), batches(1), drawing)[1]
  assert abs(one.loss_sum - later.loss_sum) > 1e-3
  # Rows differ: four images that are alike draw four numbers.
  alike = batches(1, image=np.full((4, 1, 1, 1), 2, np.uint8), label=0 * LABELS)
  assert take(start(), alike, drawing)[1].loss_sum != pytest.approx(
    3 * np.square(W * 2.5), rel=1e-3
  )


@pytest.mark.parametrize("devices", [1, 2])
def test_labels_in_use_are_learned_and_corrected(devices):
  def relabel(outputs, batch, progress):
    return batch["label"] + jnp.where(progress > 0.29, 1, 0)

  row = np.array([5, 0, 2, 4], np.int32)
  in_use = np.array([0, 9, 1, 9, 9, 1], np.int32)
  state, _ = take(
    start(labels=in_use),
    batches(devices, row=row),
    line(relabel=relabel),
  )
  expected = W - RATE * gradient(labels=in_use[row])
  assert state.params["w"] == pytest.approx(expected, rel=1e-6)
  assert state.labels.tolist() == [1, 9, 2, 9, 9, 2]  # Not the padding's.


def test_teachers_are_asked_about_the_same_views():
  asked = []

  def ask(teachers, views, mask):
    asked.append((teachers, views.shape, mask.shape))
    return jnp.stack([views, views * teachers[0]["scale"]], -1)

  def taught(outputs, batch, progress):
    return batch["taught"].sum(-1) * outputs["w"], {}

  method = Method(**{**vars(line()), "loss": taught})
  teachers = ({"scale": jnp.float32(3)},)
  state, _ = take(start(), batches(1), method, teachers, ask=ask)
  expected = W - RATE * np.mean(4.0 * X[MASK])
  assert state.params["w"] == pytest.approx(expected, rel=1e-6)
  assert len(asked) == 1
