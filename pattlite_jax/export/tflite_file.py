"""A network as a TFLite (LiteRT) file, from plain TensorFlow operations.

Faces uint8 [B, H, W, C] in, probabilities float32 [B, K] out, any batch size.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from pattlite_jax.export import networks
from pattlite_jax.export.networks import Run
from pattlite_jax.trained import Trained

_LITE: Any = tf.lite  # Loaded at its first use, so that checkers do not see it.


class Operations:
  """`networks.Ops` in TensorFlow; images are [B, H, W, C]."""

  def resize(self, x, rows, columns):
    """See `networks.Ops.resize`."""
    # Each product has its constant on the right: TFLite's dense layer.
    x = tf.transpose(tf.cast(x, tf.float32), [0, 3, 1, 2])  # [B, C, H, W]
    x = tf.transpose(_times(x, columns.T), [0, 1, 3, 2])  # [B, C, S, H]
    return tf.transpose(_times(x, rows.T), [0, 3, 2, 1])

  def affine(self, x, gain, bias, name):
    """See `networks.Ops.affine`."""
    del name
    return x * gain + bias

  def conv(self, x, kernel, bias, *, stride, pads, depthwise, name):
    """See `networks.Ops.conv`."""
    del name
    padding = _word(pads, kernel.shape[:2], stride, x.shape[1:3])
    if not padding:
      x, padding = tf.pad(x, ((0, 0), *pads, (0, 0))), "VALID"
    strides = [1, stride, stride, 1]
    if depthwise:
      by_channel = kernel.transpose(0, 1, 3, 2)
      x = tf.nn.depthwise_conv2d(x, by_channel, strides, padding)
    else:
      x = tf.nn.conv2d(x, kernel, strides, padding)
    return x if bias is None else x + np.asarray(bias)

  def relu(self, x, highest=None):
    """See `networks.Ops.relu`."""
    assert highest in (None, 6.0)
    return tf.nn.relu(x) if highest is None else tf.nn.relu6(x)

  def pooled(self, x):
    """See `networks.Ops.pooled`."""
    return tf.reduce_mean(x, [1, 2])

  def tokens(self, x):
    """See `networks.Ops.tokens`."""
    return tf.reshape(x, [-1, x.shape[1] * x.shape[2], x.shape[3]])

  def attend(self, x, scale):
    """See `networks.Ops.attend`."""
    scores = scale * tf.matmul(x, x, transpose_b=True)
    return tf.reduce_mean(tf.matmul(tf.nn.softmax(scores), x), 1)

  def dense(self, x, kernel, bias, name):
    """See `networks.Ops.dense`."""
    del name
    return _times(x, kernel) + bias

  def softmax(self, x):
    """See `networks.Ops.softmax`."""
    return tf.nn.softmax(x)


def content(network: Trained, *, float16: bool = False) -> bytes:
  """Returns the bytes of the file; `float16` halves them, not the arithmetic.

  Raises:
    UserError: as `networks.probabilities`.
  """
  assert network.image_shape
  faces = tf.TensorSpec([None, *network.image_shape], tf.uint8, "faces")

  @tf.function(input_signature=[faces], autograph=False)
  def probabilities(faces):
    return {
      "probabilities": networks.probabilities(Operations(), faces, network)
    }

  converter = _LITE.TFLiteConverter.from_concrete_functions(
    [probabilities.get_concrete_function()], probabilities
  )
  if float16:
    converter.optimizations = [_LITE.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
  return converter.convert()


def opened(content: bytes) -> Run:
  """Returns the file as a function of faces."""
  interpreter = _LITE.Interpreter(model_content=content)
  (given,) = interpreter.get_input_details()
  (output,) = interpreter.get_output_details()
  shape = None

  def run(faces):
    nonlocal shape
    if faces.shape != shape:
      interpreter.resize_tensor_input(given["index"], faces.shape)
      interpreter.allocate_tensors()
      shape = faces.shape
    interpreter.set_tensor(given["index"], faces)
    interpreter.invoke()
    return interpreter.get_tensor(output["index"])

  return run


def _times(x, matrix: np.ndarray):
  """Returns x @ matrix over the last axis of x, of any rank."""
  *axes, last = x.shape
  product = tf.matmul(tf.reshape(x, [-1, last]), np.asarray(matrix))
  return tf.reshape(product, [-1, *axes[1:], matrix.shape[1]])


def _word(pads: networks.Pads, kernel, stride: int, size) -> str | None:
  """Returns TensorFlow's word for the pads; None if there is none."""
  for word in ("SAME", "VALID"):
    total = [
      max(0, (-(-n // stride) - 1) * stride + taps - n) if word == "SAME" else 0
      for n, taps in zip(size, kernel, strict=True)
    ]
    if pads == tuple((t // 2, t - t // 2) for t in total):
      return word
  return None
