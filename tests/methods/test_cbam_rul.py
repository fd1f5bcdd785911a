"""CBAM and RUL against a reference in TensorFlow, from the public codes."""

import jax
import jax.numpy as jnp
import method_reference as reference
import numpy as np
import pytest
import small_step
import tensorflow as tf
from flax import linen as nn

from pattlite_jax import methods
from pattlite_jax.methods import cbam_rul
from pattlite_jax.models.mobilenet_v1 import MobileNetV1
from pattlite_jax.runtime import parallel

dense = reference.dense


def cbam(x, params):
  """`MODELS/cbam.py` of Jongchan/attention-module, in NHWC."""
  pools = tf.reduce_mean(x, [1, 2]), tf.reduce_max(x, [1, 2])
  gate = sum(
    dense(tf.nn.relu(dense(pool, params["squeeze"])), params["excite"])
    for pool in pools
  )
  x *= tf.sigmoid(gate)[:, None, None]
  pooled = tf.stack([tf.reduce_max(x, -1), tf.reduce_mean(x, -1)], axis=-1)
  gate = tf.nn.conv2d(pooled, params["positions"]["kernel"], 1, "SAME")
  gate = reference.batch_norm(gate, params["positions_bn"], epsilon=1e-5)
  return x * tf.sigmoid(gate)


def embedding(x, params):
  x = reference.batch_norm(x, None, epsilon=2e-5)
  x = dense(tf.reshape(x, [len(x), -1]), params["dense"])
  return reference.batch_norm(x, params["dense_bn"], epsilon=2e-5)


@pytest.mark.slow
def test_logits_loss_and_all_gradients_are_the_references(small_config):
  config = small_step.configure(small_config, "cbam_rul")
  config.stage1.class_weights = True
  examples = small_step.faces().take(np.array([0, 1, 2, 3, 0, 5]))
  variables = small_step.draw_variables(config)
  images = reference.prepared(examples)[: reference.NUM_VALID]
  labels = examples.labels[: reference.NUM_VALID]
  weights = 6 / (3 * np.bincount(examples.labels))
  assert len(set(weights)) > 1
  ours = reference.our_step(config, examples, variables)
  partners = ours.outputs["partners"][: reference.NUM_VALID]
  assert sorted(partners) == list(range(reference.NUM_VALID))
  assert (partners != np.arange(reference.NUM_VALID)).any()

  def expected(params):
    x = reference.features(params["trunk"], images)
    x = cbam(x, params["cbam_conv_pw_1"])
    mu, log_var = (embedding(x, params[n]) for n in ("mean", "log_variance"))
    u = tf.reduce_mean(tf.exp(log_var), axis=1, keepdims=True)
    mu_j, u_j = (tf.gather(t, partners) for t in (mu, u))
    mixed = dense((u * mu + u_j * mu_j) / (u + u_j), params["classifier"])
    losses = sum(
      0.5 * weights[y] * reference.cross_entropies(mixed, y)
      for y in (labels, labels[partners])
    )
    logits = dense(mu, params["classifier"])
    return {"logits": logits, "mixed_logits": mixed}, losses, {}

  reference.assert_is_reference(ours, variables, expected)


def test_only_valid_rows_are_partners():
  valid = jnp.array([True, False, True, True, False, True])
  shuffle = jax.jit(cbam_rul.shuffled_rows)
  seen = set()
  for seed in range(40):
    rows = np.asarray(shuffle(jax.random.key(seed), valid))[np.array(valid)]
    assert sorted(rows) == [0, 2, 3, 5]
    seen.add(tuple(rows.tolist()))
  assert len(seen) > 12  # Of 24: all orders come.


@pytest.mark.slow
@pytest.mark.parametrize(("trunk", "blocks"), [("resnet18", 8), ("ir50", 21)])
def test_every_block_of_a_trunk_has_a_cbam_that_is_not_the_trunks(
  small_config, trunk, blocks
):
  config = small_step.configure(small_config, "cbam_rul")
  config.model.trunk = trunk
  params = methods.build(config, 3).shapes["params"]
  own = {name for name in params if name.startswith("cbam_")}
  assert len(own) == blocks
  assert {name.removeprefix("cbam_") for name in own} == {
    name.rpartition("_conv2")[0]
    for name in params["trunk"]
    if name.endswith("_conv2")
  }
  assert not any("cbam" in name for name in params["trunk"])


def test_teachers_have_their_share_in_both_halves_of_the_loss(small_config):
  config = small_step.configure(small_config, "cbam_rul")
  config.distillation.share = 1.0
  method = methods.build(
    config, 3, stage="stage1", class_counts=np.ones(3, int)
  )
  rng = np.random.default_rng(0)
  outputs = {
    "mixed_logits": jnp.asarray(rng.normal(size=(2, 3)), jnp.float32),
    "partners": jnp.array([1, 0]),
  }
  taught = jax.nn.softmax(jnp.asarray(rng.normal(size=(2, 3)), jnp.float32))

  def losses(labels):
    batch = {"label": jnp.array([labels]), "taught": taught[None]}
    found = jax.vmap(
      lambda b: method.loss(outputs, b, jnp.float32(0))[0],
      axis_name=parallel.AXIS,
    )(batch)
    return np.asarray(found)[0]

  # Where all is the teachers', the labels do not matter.
  np.testing.assert_allclose(losses([0, 1]), losses([2, 2]), rtol=1e-6)


@pytest.mark.parametrize("num_devices", [1, 2, 3])
def test_devices_agree_on_the_partners(num_devices):
  """Of any number of devices, and no padded row is anyone's."""
  valid = np.array([1, 1, 1, 0, 1, 1], bool)
  network = cbam_rul.CBAMRUL(3, MobileNetV1(), 8, 0.0, axis_name=parallel.AXIS)

  def partners(mask):
    return network.apply(
      {},
      mask,
      rngs={"dropout": jax.random.key(5)},
      method=lambda module, mask: module._partners(mask),
    )

  shares = jnp.asarray(valid).reshape(num_devices, -1)
  found = jax.vmap(partners, axis_name=parallel.AXIS)(shares)
  found = np.asarray(found).ravel()
  key = nn.apply(lambda m: m.make_rng("dropout"), network)(
    {}, rngs={"dropout": jax.random.key(5)}
  )
  wanted = cbam_rul.shuffled_rows(key, jnp.asarray(valid))
  assert found[valid].tolist() == np.asarray(wanted)[valid].tolist()
