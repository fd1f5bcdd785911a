"""The attention classifier of PAtt-Lite, as published and per image.

The published layer is Keras' Attention(use_scale=True) on [z, z] with z of
rank 2, so its queries, keys and values are the images of the batch: each
prediction is a mixture of the whole batch.
"""

import jax.numpy as jnp
from absl import logging
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from pattlite_jax.models.batch_norm import BatchNorm
from pattlite_jax.models.dropout import Dropout
from pattlite_jax.models.parameter import parameter
from pattlite_jax.runtime import parallel

_ONE_PATCH = (
  "An image has one patch, so attention 'token' does what 'none' does: enlarge "
  "config.model.image_size or lower config.model.patch_stride."
)


def attend(
  queries: Float[Array, "... Q D"],
  keys: Float[Array, "... N D"],
  scale: Float[Array, ""],
  mask: Bool[Array, "N"] | None = None,
) -> Float[Array, "... Q D"]:
  """Returns softmax(scale * q k^T) k, Keras' dot attention with value = key.

  There is no 1/sqrt(D) but what `scale` has of it. Keys where `mask` is False
  get no weight.
  """
  scores = scale * jnp.einsum("...qd,...nd->...qn", queries, keys)
  if mask is not None:
    scores = jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
  return jnp.einsum("...qn,...nd->...qd", nn.softmax(scores), keys)


class AttentionClassifier(nn.Module):
  """Patches -> logits: pool, Dense, batch norm, attention, Dense.

  The parameters are the same in each mode, so weights trained in one can be
  scored in another:
    batch  pools, then attends over the images of the global batch
           (as published; a prediction depends on its batch).
    token  Dense and batch norm on each patch, attends over the patches of one
           image, then pools.
    none   pools, no attention: what `batch` computes for an image alone.
  """

  num_classes: int
  attention: str
  hidden: int = 32
  scaled: bool = False  # Starts the scale at 1 / sqrt(hidden), not at 1.
  pooled_dropout: float = 0.0
  attended_dropout: float = 0.0
  axis_name: str | None = None  # Devices whose images form the global batch.

  @nn.compact
  def __call__(
    self,
    patches: Float[Array, "B P Q C"],
    mask: Bool[Array, "B"],
    *,
    train: bool,
  ) -> Float[Array, "B {self.num_classes}"]:
    assert self.attention in ("batch", "token", "none"), self.attention
    patches = patches.astype(jnp.float32)  # The head is tiny: no bf16 here.
    if self.attention == "token":
      x = patches.reshape(patches.shape[0], -1, patches.shape[-1])  # [B, N, C]
      if x.shape[1] == 1:
        logging.log_first_n(logging.WARNING, _ONE_PATCH, 1)
    else:
      x = patches.mean(axis=(1, 2))  # [B, C]
    x = Dropout(self.pooled_dropout, axis_name=self.axis_name)(x, train=train)
    x = _dense(self.hidden, "pre_classifier")(x)
    x = BatchNorm(
      use_running_average=not train,
      axis_name=self.axis_name,
      name="pre_classifier_bn",
    )(nn.relu(x), mask)
    start = self.hidden**-0.5 if self.scaled else 1.0
    scale = parameter(
      self, "attention_scale", nn.initializers.constant(start), ()
    )
    if self.attention == "batch":
      keys, valid = (
        parallel.gather_batch(a, self.axis_name) for a in (x, mask)
      )
      x = attend(x, keys, scale, valid)
    elif self.attention == "token":
      x = attend(x, x, scale).mean(axis=1)
    x = Dropout(self.attended_dropout, axis_name=self.axis_name)(x, train=train)
    return _dense(self.num_classes, "classifier")(x)


def _dense(features: int, name: str) -> nn.Dense:
  init = nn.initializers.glorot_uniform()  # Keras' default.
  return nn.Dense(features, kernel_init=init, name=name)
