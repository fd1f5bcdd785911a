"""Erasing Attention Consistency (Zhang et al., ECCV 2022; arXiv 2207.10299).

A network sees each training image and its mirror image. Beside the
cross-entropy of the image, the class attention maps of the two must agree once
one of them is mirrored back, which keeps the network from remembering noisy
labels by a part of the face. Inference is a plain forward pass.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Key, UInt8

from pattlite_jax.method import CLASSIFIER, Batch, Method, Outputs, Terms
from pattlite_jax.methods.shared import Shared
from pattlite_jax.runtime import parallel


class EAC(nn.Module):
  """A trunk, global average pooling and one dense layer (`src/model.py`)."""

  num_classes: int
  trunk: nn.Module
  # In training, batch norm of the trunk uses and tracks the statistics of the
  # batch, of one view after the other; False keeps those that it has.
  update_trunk_stats: bool = False

  @nn.compact
  def __call__(
    self,
    views: Any,
    mask: Bool[Array, "B"] | None = None,
    *,
    train: bool = False,
  ) -> Outputs:
    """Returns {"logits": f32[B, K]} for images f32[B, S, S, C] in [-1, 1].

    In training `views` are (images, mirrored images), and "maps" and
    "mirrored_maps" f32[B, H, W, K] are the class attention maps of each.
    """
    dense = nn.Dense(self.num_classes, name=CLASSIFIER)
    features = functools.partial(
      self.trunk, mask=mask, update_stats=train and self.update_trunk_stats
    )
    image, *mirrored = views if train else (views,)
    x = features(image).astype(jnp.float32)
    outputs = {"logits": dense(x.mean(axis=(1, 2)))}
    if mirrored:
      kernel = jax.lax.stop_gradient(dense.variables["params"]["kernel"])
      y = features(mirrored[0]).astype(jnp.float32)
      outputs |= {"maps": x @ kernel, "mirrored_maps": y @ kernel}
    return outputs


def consistency(
  maps: Float[Array, "B H W K"], mirrored_maps: Float[Array, "B H W K"]
) -> Float[Array, "B"]:
  """Returns each image's mean squared gap between the maps (`src/loss.py`)."""
  gap = maps - mirrored_maps[:, :, ::-1]
  return jnp.square(gap).mean(axis=(1, 2, 3))


def build(shared: Shared) -> Method:
  """Returns EAC.

  The mirror image is that of the augmented and erased image, as in the paper's
  runs on clean labels; with config.model.erase_apart it has a gap of its own
  and no noise, as in those on noisy ones.
  """
  network = EAC(
    shared.num_classes, shared.trunk.module, shared.trunk.update_stats
  )

  def views(
    keys: Key[Array, "B"], images: UInt8[Array, "B h w C"]
  ) -> tuple[Float[Array, "B S S C"], Float[Array, "B S S C"]]:
    image = shared.augment(keys, images)
    other = image
    if shared.settings.erase_apart:
      # And no noise: the original is what the authors mirror there.
      other = shared.augment(keys, images, erase_again=True, random_noise=0.0)
    return image, other[:, :, ::-1]

  def loss(
    outputs: Outputs, batch: Batch, progress: Float[Array, ""]
  ) -> tuple[Float[Array, "B"], Terms]:
    del progress
    own = shared.cross_entropy(outputs["logits"], batch)
    gaps = consistency(outputs["maps"], outputs["mirrored_maps"])
    term = parallel.batch_mean(gaps, batch["mask"])
    return own, {"consistency": shared.settings.consistency_weight * term}

  return shared.method(network, views=views, loss=loss)
