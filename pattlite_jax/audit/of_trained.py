"""A trained network of this project as the audits call it."""

import dataclasses

import jax
import numpy as np
from jaxtyping import Float, UInt8

from pattlite_jax.audit.batch_dependence import LogitsOf
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.trained import Trained


def logits_of(network: Trained) -> LogitsOf:
  """Returns images -> logits in the trained mode, as one batch each call.

  Computes in full float32, also where the run used bfloat16 and where GPUs
  would round (TF32): that rounding depends on the batch size, but does not make
  an image depend on another.
  """
  config = network.config.copy_and_resolve_references()
  config.model.dtype = "float32"
  predict = dataclasses.replace(network, config=config).predictor()

  def logits_of_batch(
    images: UInt8[np.ndarray, "B H W C"],
  ) -> Float[np.ndarray, "B K"]:
    examples = examples_lib.unlabelled(images, network.class_names)
    with jax.default_matmul_precision("highest"):
      return predict(examples, len(images))

  return logits_of_batch


def logits_alone(
  network: Trained, examples: examples_lib.Examples
) -> Float[np.ndarray, "N K"]:
  """Returns the logits of each image alone, whatever the attention."""
  # Padded to that size: a checkpoint may say what no memory holds.
  size = min(network.config.eval.batch_size, max(len(examples), 1))
  return network.predictor_alone()(examples, size)
