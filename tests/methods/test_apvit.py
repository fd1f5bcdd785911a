"""APViT against a reference in TensorFlow, written from the authors' code."""

import jax
import jax.numpy as jnp
import method_reference as reference
import numpy as np
import pytest
import small_step
import tensorflow as tf

from pattlite_jax import config as config_lib
from pattlite_jax import methods
from pattlite_jax.models import vit_pooling
from pattlite_jax.runtime.errors import UserError


def layer_norm(x, params):
  mean, var = tf.nn.moments(x, [-1], keepdims=True)
  return (x - mean) / tf.sqrt(var + 1e-6) * params["scale"] + params["bias"]


def top(tokens, weights, count):
  chosen = tf.sort(tf.argsort(-weights, axis=1)[:, :count], axis=1)
  return tf.gather(tokens, chosen, batch_dims=1)


def block(x, params, heads, rate):
  """PoolingBlock of vit_pooling.py, one head after the other."""
  y = layer_norm(x, params["norm1"])
  q, k, v = tf.split(dense(y, params["qkv"]), 3, axis=-1)
  outputs, weights = [], 0.0
  for parts in zip(
    *(tf.split(t, heads, axis=-1) for t in (q, k, v)), strict=True
  ):
    scores = parts[0] @ tf.transpose(parts[1], [0, 2, 1])
    scores /= parts[0].shape[-1] ** 0.5
    weights += scores[:, 0, 1:]  # The class token's to the others.
    outputs.append(tf.nn.softmax(scores) @ parts[2])
  x += dense(tf.concat(outputs, axis=-1), params["proj"])
  count = max(int((x.shape[1] - 1) * rate), 1)
  x = tf.concat([x[:, :1], top(x[:, 1:], weights, count)], axis=1)
  y = dense(layer_norm(x, params["norm2"]), params["fc1"])
  y *= (1 + tf.math.erf(y / np.sqrt(2.0))) / 2
  return x + dense(y, params["fc2"])


dense = reference.dense


def apvit(params, images, heads):
  """144 patches, of which 117 are kept; 105 of them leave the last block."""
  x = reference.features(params["trunk"], images)
  x = dense(tf.reshape(x, [len(images), 144, -1]), params["projection"])
  weights = tf.reduce_sum(tf.abs(x), axis=-1)
  x = top(x + params["patch_position"], weights, 117)
  first = params["class_token"] + params["class_position"]
  x = tf.concat([tf.repeat(first, len(images), axis=0), x], axis=1)
  for name, rate in (("block_1", 1.0), ("block_2", 0.9)):
    x = block(x, params[name], heads, rate)
  assert x.shape[1] == 1 + 105
  return dense(layer_norm(x, params["norm"])[:, 0], params["classifier"])


@pytest.mark.slow
def test_logits_loss_and_all_gradients_are_the_references(small_config):
  config = small_step.configure(small_config, "apvit")
  examples = small_step.faces()
  variables = small_step.draw_variables(config)
  images = reference.prepared(examples)[: reference.NUM_VALID]
  labels = small_step.faces().labels[: reference.NUM_VALID]

  def expected(params):
    logits = apvit(params, images, config.model.heads)
    return {"logits": logits}, reference.cross_entropies(logits, labels), {}

  ours = reference.our_step(config, examples, variables)
  reference.assert_is_reference(ours, variables, expected)


def test_the_largest_stay_in_their_own_order():
  tokens = jnp.arange(5.0).reshape(1, 5, 1)
  weights = jnp.array([[0.5, 3.0, -1.0, 2.0, 0.6]])
  kept = vit_pooling.keep_largest(tokens, weights, 3)
  assert kept.ravel().tolist() == [1, 3, 4]
  gradient = jax.grad(
    lambda w: vit_pooling.keep_largest(tokens * w[..., None], w, 3).sum()
  )(weights)
  assert gradient.ravel().tolist() == [0, 1, 0, 3, 4]  # The tokens' alone.


def test_the_papers_sizes_are_the_defaults():
  """Counts of patches and tokens after each block, and of parameters."""
  config = config_lib.get_config()
  config.method = "apvit"
  counts = [1 + 196 * 160 // 196]
  for rate in [1.0] * 4 + [0.9] * 4:
    block = vit_pooling.PoolingBlock(8, rate)
    shape = jax.ShapeDtypeStruct((1, counts[-1], 768), jnp.float32)
    out, _ = jax.eval_shape(block.init_with_output, jax.random.key(0), shape)
    counts.append(out.shape[1])
  assert counts == [161] * 5 + [145, 130, 117, 105]
  params = methods.build(config, 7).shapes["params"]
  assert params["patch_position"].shape == (1, 196, 768)
  assert sum(name.startswith("block_") for name in params) == 8
  mlp = params["block_8"]["fc1"]
  assert mlp["kernel"].shape == (768, 2304)
  assert "bias" not in params["block_8"]["qkv"]


def test_too_small_a_map_says_the_smallest(small_config):
  config = small_step.configure(small_config, "apvit")
  config.model.image_size = 8
  config.model.cut = "conv_pw_4_relu"
  with pytest.raises(UserError, match=r"is 1x1 for .*=8; .*at least 2x2"):
    _ = methods.build(config, 3).shapes
