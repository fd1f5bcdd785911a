"""What parity tests of methods share: one step, and a trunk in TensorFlow."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import small_step
import tensorflow as tf
from flax import traverse_util

from pattlite_jax import methods
from pattlite_jax.data import augment as augment_lib
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime import parallel

NUM_VALID = 5  # Of the six images; the last is padding.


def prepared(examples):
  """Returns the images as f64 with three channels, as a network sees them."""
  images = augment_lib.prepare(jnp.asarray(examples.images), image_size=24)
  return np.asarray(images, np.float64).repeat(3, axis=-1)


def our_step(config, examples, variables, progress=0.0):
  """Returns outputs, losses, terms, gradients by path, labels from then on.

  Of a training step on one device, whose last row is padding.
  """
  method = methods.build(
    config, 3, stage="stage1", class_counts=examples_lib.class_counts(examples)
  )
  rows = np.arange(6)
  rows[NUM_VALID:] = -1
  batch = examples_lib.gather(examples, rows)
  views = augment_lib.prepare(jnp.asarray(batch["image"]), image_size=24)

  def take(params, stats, batch, views):
    def loss(params):
      outputs, _ = method.network.apply(
        {"params": params, "batch_stats": stats},
        views,
        batch["mask"],
        train=True,
        rngs={"dropout": jax.random.key(0)},
        mutable=["batch_stats"],
      )
      losses, terms = method.loss(outputs, batch, jnp.float32(progress))
      labels = batch["label"]
      if method.relabel:
        labels = method.relabel(outputs, batch, jnp.float32(progress))
      total = (losses * batch["mask"]).sum() / batch["mask"].sum()
      return total + sum(terms.values()), (outputs, losses, terms, labels)

    return jax.grad(loss, has_aux=True)(params)

  one = jax.tree.map(lambda x: x[None], (batch, views))
  mapped = jax.pmap(
    take,
    axis_name=parallel.AXIS,
    in_axes=(None, None, 0, 0),
    devices=jax.local_devices()[:1],
  )
  taken = jax.device_get(
    mapped(variables["params"], variables["batch_stats"], *one)
  )
  grads, found = jax.tree.map(lambda x: x[0], taken)
  outputs, losses, terms, labels = found
  return types.SimpleNamespace(
    outputs=outputs,
    losses=losses,
    terms=terms,
    labels=labels,
    gradients=traverse_util.flatten_dict(grads),
  )


def in_float64(params):
  """Returns parameters as TensorFlow's variables in double precision."""
  return jax.tree.map(lambda x: tf.Variable(x.astype(np.float64)), params)


def assert_is_reference(ours, variables, reference):
  """Compares a step with `reference(params) -> (outputs, losses, terms)`.

  `params` are tf.Variables in f64; all of it is of the valid rows alone.
  """
  arrays = traverse_util.flatten_dict(in_float64(variables["params"]))
  with tf.GradientTape() as tape:
    params = traverse_util.unflatten_dict(arrays)
    outputs, losses, terms = reference(params)
    total = tf.reduce_mean(losses) + sum(terms.values())
  gradients = tape.gradient(total, list(arrays.values()))
  for name, expected in outputs.items():
    found = ours.outputs[name][:NUM_VALID]
    np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=name)
  np.testing.assert_allclose(ours.losses[:NUM_VALID], losses, atol=1e-5)
  mean = ours.losses[:NUM_VALID].mean()
  np.testing.assert_allclose(mean, np.mean(losses), rtol=1e-6, atol=1e-6)
  assert ours.terms.keys() == terms.keys()
  for name, term in terms.items():
    np.testing.assert_allclose(
      ours.terms[name], term, rtol=1e-6, atol=1e-6, err_msg=name
    )
  small_step.compare_gradients(
    ours.gradients, dict(zip(arrays, gradients, strict=True))
  )


def batch_norm(x, params, *, statistics=None, epsilon=1e-3):
  """Normalises by a layer's statistics or, without, by the batch's."""
  axes = list(range(len(x.shape) - 1))
  if statistics is None:
    mean, var = tf.nn.moments(x, axes)
  else:
    mean, var = statistics["mean"], statistics["var"]
  x = (x - mean) / tf.sqrt(var + epsilon)
  return x * params["scale"] + params["bias"] if params else x


def features(params, images, stats=None):
  """MobileNetV1 to conv_pw_1_relu, in NHWC."""
  stats = stats or {}
  ones = [1, 1, 1, 1]

  def normalised(x, name):
    name = f"{name}_bn"
    y = batch_norm(x, params[name], statistics=stats.get(name))
    return tf.nn.relu6(y)

  x = tf.nn.conv2d(images, params["conv1"]["kernel"], 2, "SAME")
  x = normalised(x, "conv1")
  kernel = tf.transpose(params["conv_dw_1"]["kernel"], [0, 1, 3, 2])
  x = tf.nn.depthwise_conv2d(x, kernel, ones, "SAME")
  x = normalised(x, "conv_dw_1")
  x = tf.nn.conv2d(x, params["conv_pw_1"]["kernel"], 1, "VALID")
  return normalised(x, "conv_pw_1")


def dense(x, params):
  """A dense layer, with or without bias."""
  y = tf.tensordot(x, params["kernel"], 1)
  return y + params["bias"] if "bias" in params else y


def cross_entropies(logits, labels):
  """Returns the cross-entropy of each image."""
  return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
