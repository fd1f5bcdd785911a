"""What one paper brings to the bench: a dataclass of plain functions.

Four rules make it enough; tests/methods/test_rules.py holds every method to
them:
  - What is learned is a parameter of the network, so that checkpoints, EMA,
    freezing and resume need to know nothing of a method.
  - What spans the batch goes through `parallel.batch_mean` and
    `parallel.gather_batch`: padded rows never count, and one device or many
    give the same.
  - The pretrained part of the parameters is named TRUNK and the last layer
    CLASSIFIER, for trunk files, freezing and `config.start_from`. The name of a
    batch norm of the trunk ends in "_bn"; one that can be folded is named after
    the layer before it.
  - `alone` is `network` on a batch of one image.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, UInt8

TRUNK = "trunk"
CLASSIFIER = "classifier"

Variables = dict[str, Any]  # {"params": {...}, "batch_stats": {...}}
# image u8[B, h, w, C], label i32[B], mask bool[B]; where the data set or
# teachers give them, targets f32[B, K]; what teachers see in the same views,
# taught f32[B, K]; and annotations of the user's own.
Batch = dict[str, Array]
# "logits" f32[B, K]; in training also what the method's loss reads.
Outputs = dict[str, Any]
Terms = dict[str, Float[Array, ""]]
# (name of a trunk's block, what it computes [B, H, W, C]) -> what the trunk
# goes on with in its place.
Refine = Callable[[str, Array], Array]


@dataclasses.dataclass(frozen=True)
class Method:
  """One method, either for a stage of training or for scoring.

  Attributes:
    network: called as (views, mask, train=True) in training and as
      (images, mask) in scoring; returns `Outputs`.
    alone: the same variables, but gives each image what `network` gives it as
      a batch of one. Equal to `network` unless the method mixes the images of
      a batch.
    init: a key -> freshly drawn variables, before `fold`; hashable.
    views: a key for each image, images u8[B, h, w, C] -> the network's input
      in training.
    prepare: images u8[B, h, w, C] -> the network's input in scoring,
      f32[B, S, S, C].
    loss: (outputs, batch, share of the stage done in [0, 1]) -> the loss of
      each image f32[B], and named terms of the global batch, which add to the
      mean of the images' losses.
    fold: rewrites variables into those that `network` and `alone` take.
    relabel: (outputs, batch, share of the stage done) -> the label i32[B] that
      each image has from its next visit on; None where labels stay. The labels
      in use are part of the training's state, and are what `batch` has.
    temperature: what `logits` divides by, fitted once training is over (Guo et
      al. 2017, section 4.2); 1 in training.
  """

  network: nn.Module
  alone: nn.Module
  init: Callable[[Key[Array, ""]], Variables]
  views: Callable[[Key[Array, "B"], UInt8[Array, "B h w C"]], PyTree]
  prepare: Callable[[UInt8[Array, "B h w C"]], Float[Array, "B S S C"]]
  loss: Callable[
    [Outputs, Batch, Float[Array, ""]], tuple[Float[Array, "B"], Terms]
  ]
  fold: Callable[[Variables], Variables] = lambda variables: variables
  relabel: (
    Callable[[Outputs, Batch, Float[Array, ""]], Int[Array, "B"]] | None
  ) = None
  temperature: float = 1.0

  def logits(
    self,
    network: nn.Module,
    variables: Variables,
    images: Float[Array, "B S S C"],
    mask: Bool[Array, "B"],
  ) -> Float[Array, "B K"]:
    """Returns what a scored image has: logits with calibrated softmax.

    Whatever asks a trained network comes here, so that its temperature counts
    everywhere. `network` is `network` or `alone`; the variables are folded and
    the images prepared.
    """
    outputs: Any = network.apply(variables, images, mask)
    return outputs["logits"] / self.temperature

  @property
  def shapes(self) -> PyTree[jax.ShapeDtypeStruct]:
    """The shapes and dtypes of the variables, at no cost."""
    return jax.tree.map(lambda shape: shape, _shapes(self.init))

  @property
  def mixes_batch(self) -> bool:
    """Whether a prediction depends on the other images of its batch."""
    return self.network != self.alone


@functools.lru_cache(maxsize=16)  # A run asks for those of a network or two.
def _shapes(
  init: Callable[[Key[Array, ""]], Variables],
) -> PyTree[jax.ShapeDtypeStruct]:
  return jax.eval_shape(init, jax.random.key(0))
