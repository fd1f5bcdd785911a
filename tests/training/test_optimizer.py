"""The optimizers against Keras' and against AdamW's own formula."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

from pattlite_jax import config as config_lib
from pattlite_jax import methods
from pattlite_jax.config.fields import OPTIMIZERS
from pattlite_jax.training import optimizer


def test_adam_is_keras_adam_with_its_clip():
  rng = np.random.default_rng(0)
  shapes = {"a": (3, 4), "b": (5,)}
  params = {k: rng.normal(size=s).astype("f4") for k, s in shapes.items()}
  reference = keras.optimizers.Adam(1e-3, global_clipnorm=3.0)
  variables = [keras.Variable(x) for x in params.values()]
  reference.build(variables)
  tx = optimizer.make("adam", 1e-3, global_clipnorm=3.0)
  state = tx.init(params)
  for step in range(10):
    # Tiny gradients too, where epsilon's place shows; large ones are clipped.
    size = 10.0 ** rng.integers(-8, 2)
    grads = {
      k: (size * rng.normal(size=s)).astype("f4") for k, s in shapes.items()
    }
    reference.learning_rate = 1e-3 / (step + 1)
    reference.apply(list(grads.values()), variables)
    state = optimizer.with_learning_rate(state, np.float32(1e-3 / (step + 1)))
    updates, state = tx.update(grads, state, params)
    params = optax.apply_updates(params, updates)
  for ours, keras_variable in zip(params.values(), variables, strict=True):
    np.testing.assert_allclose(ours, np.asarray(keras_variable), atol=1e-6)


def test_moments_do_not_share_buffers():
  state = optimizer.scale_by_keras_adam().init({"a": jnp.ones(3)})
  mean, variance = state.mean["a"], state.variance["a"]
  assert mean.unsafe_buffer_pointer() != variance.unsafe_buffer_pointer()


def network_like():
  """Parameters named as the network's, some of which do not train."""
  return {
    "trunk": {"conv1": {"kernel": None}, "conv1_bn": {"scale": jnp.ones(3)}},
    "head": {"kernel": jnp.full((2, 3), 2.0), "bias": jnp.full(3, 2.0)},
  }


def step(tx, params, grads, count=1):
  state = tx.init(params)
  for _ in range(count):
    updates, state = tx.update(grads, state, params)
    params = optax.apply_updates(params, updates)
  return params


def test_weight_decay_is_decoupled_and_of_kernels_alone():
  params = network_like()
  zero = {
    "trunk": {"conv1": {"kernel": None}, "conv1_bn": {"scale": jnp.zeros(3)}},
    "head": {"kernel": jnp.zeros((2, 3)), "bias": jnp.zeros(3)},
  }
  tx = optimizer.make("adamw", 0.1, global_clipnorm=3.0, weight_decay=0.5)
  moved = step(tx, params, zero, count=2)
  np.testing.assert_allclose(moved["head"]["kernel"], 2 * 0.95**2, rtol=1e-6)
  np.testing.assert_array_equal(moved["head"]["bias"], 2)
  np.testing.assert_array_equal(moved["trunk"]["conv1_bn"]["scale"], 1)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_optimizers_of_the_papers_are_those_of_pytorch(name):
  torch = pytest.importorskip("torch")
  rng = np.random.default_rng(0)
  params = {"a": rng.normal(size=(3, 4)).astype("f4")}
  theirs = torch.tensor(params["a"], requires_grad=True)
  if name == "sgd":
    options = {"momentum": 0.9}
    reference = torch.optim.SGD([theirs], 0.1, weight_decay=0.01, **options)
  else:  # Keras' epsilon is not PyTorch's, but small beside these gradients.
    options = {}
    reference = torch.optim.Adam([theirs], 0.1, weight_decay=0.01)
  tx = optimizer.make(
    name, 0.1, global_clipnorm=0.0, weight_decay=0.01, **options
  )
  state = tx.init(params)
  for _ in range(5):
    grads = {"a": rng.normal(size=(3, 4)).astype("f4")}
    theirs.grad = torch.tensor(grads["a"])
    reference.step()
    updates, state = tx.update(grads, state, params)
    params = optax.apply_updates(params, updates)
  np.testing.assert_allclose(params["a"], theirs.detach(), atol=1e-5)


def test_adamw_divides_out_the_size_of_gradients():
  params = {"a": {"bias": jnp.zeros(3)}}
  grads = {"a": {"bias": jnp.array([1e-3, -0.5, 1.0])}}
  tx = optimizer.make("adamw", 0.1, global_clipnorm=3.0)
  moved = step(tx, params, grads)["a"]["bias"]
  np.testing.assert_allclose(moved, [-0.1, 0.1, -0.1], rtol=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_clipnorm_of_zero_never_clips(name):
  def moved(clipnorm):
    params = {"a": {"kernel": jnp.zeros(3)}}
    tx = optimizer.make(name, 0.1, global_clipnorm=clipnorm)
    state = tx.init(params)
    for size in (1.0, 100.0, 1.0):
      grads = {"a": {"kernel": jnp.full(3, size)}}
      updates, state = tx.update(grads, state, params)
      params = optax.apply_updates(params, updates)
    return params["a"]["kernel"]

  np.testing.assert_array_equal(moved(0.0), moved(1e6))
  assert np.abs(moved(0.0) - moved(3.0)).min() > 0.01


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_schedule_scales_each_step_and_its_decay(name):
  params = {"a": {"kernel": jnp.full(3, 2.0)}}
  grads = {"a": {"kernel": jnp.ones(3)}}
  factors = jnp.array([0.5, 0.25, 0.0])
  tx = optimizer.make(
    name, 0.1, global_clipnorm=3.0, schedule=lambda count: factors[count]
  )
  moved = [step(tx, params, grads, n)["a"]["kernel"][0] for n in (1, 2, 3)]
  # A constant gradient moves Adam by the learning rate, whatever its size.
  np.testing.assert_allclose(moved, [1.95, 1.925, 1.925], rtol=1e-3)


@pytest.mark.parametrize("attention", ["token", "batch"])
def test_what_decays_is_every_kernel_of_the_network(attention):
  config = config_lib.get_config()
  config.model.attention = attention
  params = methods.build(config, 7).shapes["params"]
  marked = jax.tree.leaves(optimizer.kernels(params))
  for leaf, decays in zip(jax.tree.leaves(params), marked, strict=True):
    assert decays == (leaf.ndim > 1)


def test_trainable_follows_the_trunk_field():
  params = {
    "trunk": {"conv1": {"kernel": 0}, "conv1_bn": {"scale": 0, "bias": 0}},
    "patch_extraction": {"patch3": {"kernel": 0}},
  }
  frozen = optimizer.trainable(params, "frozen")
  assert jax.tree.leaves(frozen["trunk"]) == [False] * 3
  assert frozen["patch_extraction"]["patch3"]["kernel"] is True
  tuned = optimizer.trainable(params, "all_but_bn")
  assert tuned["trunk"]["conv1"]["kernel"] is True
  assert jax.tree.leaves(tuned["trunk"]["conv1_bn"]) == [False] * 2
  assert all(jax.tree.leaves(optimizer.trainable(params, "all")))
