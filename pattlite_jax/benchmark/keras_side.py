"""Keras' side of the benchmark, on TensorFlow."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pattlite_jax.benchmark import work
from pattlite_jax.benchmark.peers import keras_pattlite


class Side:
  """See `work.Side`. Computes in f32 on the CPU."""

  def __init__(self, shared: work.Work):
    self._work = shared

  def forward(self, faces):
    """See `work.Side.forward`."""
    model = self._model("stage1", faces)
    images = tf.constant(faces.images)

    @tf.function
    def predict(images):
      return model(images, training=False)

    return lambda: predict(images), predict(images).numpy()

  def train_step(self, stage, faces):
    """See `work.Side.train_step`."""
    model = self._model(stage, faces, regularised=True)
    if stage == "stage2":
      keras_pattlite.unfreeze_trunk(model, len(model.get_layer("base").layers))
    config = self._work.config
    model.compile(
      keras.optimizers.Adam(
        config[stage].learning_rate, global_clipnorm=config.global_clipnorm
      ),
      "sparse_categorical_crossentropy",
      jit_compile=False,  # On a CPU XLA is slow on grouped convolutions.
    )
    batch = (tf.constant(faces.images), tf.constant(faces.labels))
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    model.make_train_function()

    step: Any = model.train_function
    return lambda: step(batches)["loss"]

  def wait(self, output):
    """See `work.Side.wait`."""
    np.asarray(output)

  def _model(self, stage, faces, **options):
    model = keras_pattlite.build(
      len(faces.class_names),
      stage=stage,
      input_shape=faces.images.shape[1:],
      image_size=work.IMAGE_SIZE,
      **options,
    )
    keras_pattlite.assign(model, self._work.flat)
    return model
