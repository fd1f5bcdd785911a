"""CBAM, balanced class weights and relative uncertainty: an approximation.

Of "Combating Uncertainty and Class Imbalance in Facial Expression Recognition"
(Fan et al., arXiv 2212.07751), whose abstract names the three, and whose exact
combination is not public. CBAM refines each block of the trunk
(`models/cbam.py`), the recipe sets `class_weights`, and features of two images
are mixed by how uncertain each of them is, as in Relative Uncertainty Learning
(Zhang et al., NeurIPS 2021; zyh-uaiaaaa/Relative-Uncertainty-Learning,
`src/rul.py` and `src/utils.py`). Inference is a plain forward pass.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int, Key

from pattlite_jax.method import CLASSIFIER, Batch, Method, Outputs, Terms
from pattlite_jax.methods.shared import Shared
from pattlite_jax.models.batch_norm import BatchNorm
from pattlite_jax.models.cbam import CBAM
from pattlite_jax.models.dropout import Dropout
from pattlite_jax.runtime import parallel


class Embedding(nn.Module):
  """A map to one vector: batch norm, dropout, dense layer, batch norm."""

  size: int
  dropout: float
  axis_name: str | None = None

  @nn.compact
  def __call__(
    self,
    features: Float[Array, "B H W C"],
    mask: Bool[Array, "B"] | None,
    *,
    train: bool,
  ) -> Float[Array, "B {self.size}"]:
    norm = functools.partial(
      BatchNorm,
      use_running_average=not train,
      axis_name=self.axis_name,
      momentum=0.9,
      epsilon=2e-5,
      unbiased=True,
    )
    x = norm(affine=False, name="features_bn")(features, mask)
    x = Dropout(self.dropout, axis_name=self.axis_name)(x, train=train)
    x = nn.Dense(self.size, name="dense")(x.reshape(x.shape[0], -1))
    return norm(name="dense_bn")(x, mask)


class CBAMRUL(nn.Module):
  """A trunk with CBAM in its blocks, two embeddings and a dense layer."""

  num_classes: int
  trunk: nn.Module
  embedding_size: int
  dropout: float
  # In training, batch norm of the trunk uses and tracks the statistics of the
  # batch; False keeps those that it has.
  update_trunk_stats: bool = False
  axis_name: str | None = None

  @nn.compact
  def __call__(
    self,
    images: Float[Array, "B S S C"],
    mask: Bool[Array, "B"] | None = None,
    *,
    train: bool = False,
  ) -> Outputs:
    """Returns {"logits": f32[B, K]} for images in [-1, 1] (1 or 3 channels).

    In training "mixed_logits" f32[B, K] are those of each image mixed with
    another, whose place in the global batch "partners" i32[B] has.
    """
    features = self.trunk(
      images,
      mask,
      update_stats=train and self.update_trunk_stats,
      refine=self._refine(mask, train=train),
    ).astype(jnp.float32)
    mean, log_variance = (
      Embedding(self.embedding_size, self.dropout, self.axis_name, name=name)
      for name in ("mean", "log_variance")
    )
    classifier = nn.Dense(self.num_classes, name=CLASSIFIER)
    x = mean(features, mask, train=train)
    outputs = {"logits": classifier(x)}
    if not train and not self.is_initializing():
      return outputs
    logs = log_variance(features, mask, train=train)
    if not train:
      return outputs
    if mask is None:
      mask = jnp.ones(len(images), bool)
    uncertainty = jnp.exp(logs).mean(axis=1, keepdims=True)
    partners = self._partners(mask)
    mixed = self._mix(x, uncertainty, partners)
    return outputs | {"mixed_logits": classifier(mixed), "partners": partners}

  def _refine(
    self, mask: Bool[Array, "B"] | None, *, train: bool
  ) -> Callable[..., Any]:
    """Returns a trunk's `refine`, which applies a CBAM of each block's own.

    The modules are this network's own and none of the trunk's, whose weights
    come from a file.
    """

    def refine(name, x):
      module = CBAM(
        use_running_average=not train,
        axis_name=self.axis_name,
        parent=self,
        name=f"cbam_{name}",
      )
      return module(x, mask)

    return refine

  def _partners(self, mask: Bool[Array, "b"]) -> Int[Array, "b"]:
    valid = parallel.gather_batch(mask, self.axis_name)
    partners = shuffled_rows(self.make_rng("dropout"), valid)
    if self.axis_name is None:
      return partners
    return partners[parallel.global_rows(len(mask))]

  def _mix(
    self,
    x: Float[Array, "b D"],
    uncertainty: Float[Array, "b 1"],
    partners: Int[Array, "b"],
  ) -> Float[Array, "b D"]:
    """The more uncertain of two features weighs more, as in `mixup_data`."""
    other, of_other = (
      parallel.gather_batch(rows, self.axis_name)[partners]
      for rows in (x, uncertainty)
    )
    return (uncertainty * x + of_other * other) / (uncertainty + of_other)


def shuffled_rows(
  key: Key[Array, ""], valid: Bool[Array, "B"]
) -> Int[Array, "B"]:
  """Returns the rows where `valid` is True, shuffled among themselves.

  Other rows get any row.
  """
  drawn = jax.random.uniform(key, valid.shape)
  in_random_order = jnp.argsort(jnp.where(valid, drawn, 2.0))
  return in_random_order[jnp.maximum(jnp.cumsum(valid) - 1, 0)]


def build(shared: Shared) -> Method:
  """Returns the method.

  The weights of classes are those of the cross-entropy, where a stage has them.
  """
  network = CBAMRUL(
    shared.num_classes,
    shared.trunk.module,
    shared.settings.embedding_size,
    shared.settings.embedding_dropout,
    shared.trunk.update_stats,
    axis_name=parallel.AXIS,
  )

  def loss(
    outputs: Outputs, batch: Batch, progress: Float[Array, ""]
  ) -> tuple[Float[Array, "B"], Terms]:
    """Half the mixture's cross-entropy to either image's label."""
    del progress
    other = {
      name: parallel.gather_batch(batch[name])[outputs["partners"]]
      for name in ("label", "targets", "taught")
      if name in batch
    }
    own = shared.cross_entropy(outputs["mixed_logits"], batch)
    return (own + shared.cross_entropy(outputs["mixed_logits"], other)) / 2, {}

  return shared.method(network, loss=loss)
