"""The pretrained part of a network: a trunk, chosen apart from the method.

Every trunk is called as (images f32[B, S, S, C] in [-1, 1], mask bool[B],
update_stats=False, refine=None) and returns a feature map [B, H, W, D]; C is 3,
or 1 for grey images. With `update_stats` its batch norm uses and tracks the
statistics of the rows where `mask` is True. `refine` takes what each of its
blocks computes, before a shortcut is added.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax.numpy as jnp
import ml_collections
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Key

from pattlite_jax.method import Variables
from pattlite_jax.models import folding
from pattlite_jax.models.batch_norm import BatchNorm
from pattlite_jax.models.ir50 import IR50
from pattlite_jax.models.mobilenet_v1 import MobileNetV1
from pattlite_jax.models.resnet import ResNet
from pattlite_jax.models.torch_layers import EPSILON
from pattlite_jax.runtime import parallel

# Of the batch norm of trunks that can be folded.
_EPSILONS = {
  "mobilenet_v1": BatchNorm.epsilon,
  "resnet18": EPSILON,
  "resnet50": EPSILON,
}


@dataclasses.dataclass(frozen=True)
class Trunk:
  """A trunk, either for a stage of training or for scoring.

  Attributes:
    module: what a network takes as its field `trunk`.
    plain: the same for variables before `fold`, outside of a mapped step.
    image_size: pixels a side of what it is called with.
    update_stats: what training calls it with.
    fold: rewrites variables of the whole network for `module`.
  """

  module: nn.Module
  plain: nn.Module
  image_size: int
  update_stats: bool
  fold: Callable[[Variables], Variables]

  def init(self, network: nn.Module) -> Callable[[Key[Array, ""]], Variables]:
    """Returns a key -> variables of a network with this trunk, before `fold`.

    The network is called outside of a mapped step, where there is no axis of
    devices to gather from.
    """
    plain = network.clone(trunk=self.plain)
    if hasattr(plain, "axis_name"):
      plain = plain.clone(axis_name=None)
    return _Init(plain, self.image_size)


@dataclasses.dataclass(frozen=True)
class _Init:
  """Draws variables; equal ones do the same, so that it is traced once."""

  network: nn.Module
  image_size: int

  def __call__(self, key: Key[Array, ""]) -> Variables:
    images = jnp.zeros((1, self.image_size, self.image_size, 3))
    return dict(self.network.init(key, images))


def build(
  settings: ml_collections.ConfigDict, stage: ml_collections.ConfigDict | None
) -> Trunk:
  """Returns config.model.trunk; without a `stage` of the config, for scoring.

  Where batch norm keeps its statistics, it is folded into the convolutions
  before it, if all of it comes after one.
  """
  plain = make(
    settings.trunk,
    settings.cut,
    jnp.dtype(settings.dtype),
    stem_stride=settings.stem_stride,
  )
  update_stats = stage is not None and stage.trunk_statistics == "batch"
  folded = not update_stats and settings.trunk in _EPSILONS
  return Trunk(
    plain.clone(axis_name=parallel.AXIS, folded=folded),
    plain,
    settings.image_size,
    update_stats,
    functools.partial(folding.fold_trunk, epsilon=_EPSILONS[settings.trunk])
    if folded
    else lambda variables: variables,
  )


def make(
  name: str, cut: str, dtype: DTypeLike, *, stem_stride: int = 2
) -> nn.Module:
  """Returns a trunk by its name in the config.

  `cut` and `stem_stride` are MobileNetV1's alone.
  """
  trunks = {
    "mobilenet_v1": functools.partial(MobileNetV1, cut, stem_stride),
    "resnet18": ResNet,
    "resnet50": functools.partial(ResNet, blocks=(3, 4, 6, 3), bottleneck=True),
    "ir50": IR50,
  }
  return trunks[name](dtype=dtype)
