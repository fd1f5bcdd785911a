"""What each exported network computes, said once for all formats.

ONNX and TFLite files are written operation by operation, so that they hold
what their runtimes are fastest at and nothing of JAX. A format is an `Ops`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import Float

from pattlite_jax.method import CLASSIFIER, TRUNK
from pattlite_jax.models.batch_norm import BatchNorm
from pattlite_jax.models.mobilenet_v1_layers import LAYER_NAMES, LAYERS
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.trained import Trained

Tensor = Any  # Of the format at hand.
Weights = Mapping[str, Any]  # Of one layer: kernel, bias.
# A file in its own runtime: u8[B, H, W, C] -> probabilities f32[B, K].
Run = Callable[[np.ndarray], np.ndarray]
Pads = tuple[tuple[int, int], tuple[int, int]]  # (top, bottom), (left, right)


@runtime_checkable
class Ops(Protocol):
  """The operations of one format, on batches of any size.

  Images are [B, H, W, C] here; a format may keep them in another order.
  """

  def resize(
    self,
    x: Tensor,
    rows: Float[np.ndarray, "S H"],
    columns: Float[np.ndarray, "S W"],
  ) -> Tensor:
    """Returns rows @ x @ columns.T for each image and channel."""
    ...

  def affine(
    self, x: Tensor, gain: np.ndarray, bias: np.ndarray, name: str
  ) -> Tensor:
    """Returns gain * x + bias; both are of one number or of the last axis."""
    ...

  def conv(
    self,
    x: Tensor,
    kernel: Float[np.ndarray, "h w I O"],
    bias: Float[np.ndarray, "O"] | None,
    *,
    stride: int,
    pads: Pads,
    depthwise: bool,
    name: str,
  ) -> Tensor:
    """Convolves images; a depthwise kernel has I = 1 and one O a channel."""
    ...

  def relu(self, x: Tensor, highest: float | None = None) -> Tensor:
    """Returns x, at least 0, and at most `highest`."""
    ...

  def pooled(self, x: Tensor) -> Tensor:
    """Returns the mean of each image's pixels, [B, C]."""
    ...

  def tokens(self, x: Tensor) -> Tensor:
    """Returns the pixels of each image row by row, [B, H * W, C]."""
    ...

  def attend(self, x: Tensor, scale: float) -> Tensor:
    """Returns softmax(scale * x x^T) x, averaged: [B, N, C] -> [B, C]."""
    ...

  def dense(
    self, x: Tensor, kernel: np.ndarray, bias: np.ndarray, name: str
  ) -> Tensor:
    """Returns x @ kernel + bias, over the last axis."""
    ...

  def softmax(self, x: Tensor) -> Tensor:
    """Returns the softmax over the last axis."""
    ...


def probabilities(ops: Ops, faces: Tensor, network: Trained) -> Tensor:
  """Returns [B, K] for faces [B, H, W, C] with pixels from 0 to 255.

  Raises:
    UserError: if the network's method or a layer of it is not written here.
  """
  model, shape = network.config.model, network.image_shape
  assert shape is not None
  build = NETWORKS.get(network.config.method)
  if build is None:
    raise UserError(
      f"The network is of the method {network.config.method!r}, but ONNX and "
      f"TFLite files are written of {', '.join(NETWORKS)}; stablehlo files of "
      "all.",
      setting="format",
    )
  variables = jax.device_get(jax.jit(network.method.fold)(network.variables))
  rows, columns = (_enlarging(n, model.image_size) for n in shape[:2])
  x = ops.resize(faces, rows, columns)
  x = ops.affine(
    x, np.array(1 / 127.5, np.float32), np.array(-1, np.float32), "scale"
  )
  features, size = _trunk(ops, x, variables["params"][TRUNK], model, shape[2])
  return ops.softmax(build(ops, features, size, variables, model))


def _enlarging(pixels: int, size: int) -> Float[np.ndarray, "S n"]:
  """Returns the matrix by which `augment.resize` makes `pixels` to `size`."""
  matrix = jax.image.resize(
    jnp.eye(pixels), (size, pixels), "bilinear", antialias=False
  )
  return np.asarray(matrix)


def _trunk(
  ops: Ops,
  x: Tensor,
  params: Mapping[str, Weights],
  model: ml_collections.ConfigDict,
  channels: int,
) -> tuple[Tensor, int]:
  """Returns the features of MobileNetV1 and their pixels a side."""
  size, padded = model.image_size, False
  for layer in LAYERS[: LAYER_NAMES.index(model.cut) + 1]:
    if layer.kind == "pad":  # A pixel at the bottom and the right.
      padded = True
    elif layer.kind in ("conv3x3", "depthwise", "pointwise"):
      weights = dict(params[layer.name])
      if layer.kind == "conv3x3" and channels == 1:
        weights["kernel"] = weights["kernel"].sum(axis=2, keepdims=True)
      x, size = _conv(
        ops,
        x,
        size,
        weights,
        layer.name,
        stride=layer.stride,
        pads=(0, 1) if padded else "SAME",
        depthwise=layer.kind == "depthwise",
      )
      padded = False
    elif layer.kind == "relu6":
      x = ops.relu(x, 6.0)
    elif layer.kind != "bn":  # Which is part of the convolution before it.
      raise UserError(
        f"The network ends at {model.cut} (config.model.cut), but ONNX and "
        "TFLite files are written of trunks that end at a convolution, its "
        "batch norm or its ReLU.",
        setting="format",
      )
  return x, size


def _conv(
  ops: Ops,
  x: Tensor,
  size: int,
  weights: Weights,
  name: str,
  *,
  stride: int = 1,
  pads: tuple[int, int] | str = "SAME",
  depthwise: bool = False,
) -> tuple[Tensor, int]:
  """Returns a convolution and its pixels a side, of square images."""
  kernel = np.asarray(weights["kernel"])
  if isinstance(pads, str):
    (pads,) = jax.lax.padtype_to_pads(
      (size,), kernel.shape[:1], (stride,), pads
    )
  low, high = map(int, pads)
  y = ops.conv(
    x,
    kernel,
    weights.get("bias"),
    stride=stride,
    pads=((low, high), (low, high)),
    depthwise=depthwise,
    name=name,
  )
  return y, (size + low + high - len(kernel)) // stride + 1


def _pattlite(
  ops: Ops,
  x: Tensor,
  size: int,
  variables: Mapping[str, Any],
  model: ml_collections.ConfigDict,
) -> Tensor:
  """Returns the logits of PAtt-Lite; of attention "batch", without it."""
  params = variables["params"]
  if model.patch_extraction:
    x = _patches(ops, x, size, params["patch_extraction"], model.patch_stride)
  head = params["attention_classifier"]
  by_token = model.attention == "token"
  x = ops.tokens(x) if by_token else ops.pooled(x)
  x = ops.relu(ops.dense(x, **head["pre_classifier"], name="pre_classifier"))
  norm = head["pre_classifier_bn"]
  stats = variables["batch_stats"]["attention_classifier"]["pre_classifier_bn"]
  gain = norm["scale"] / np.sqrt(stats["var"] + np.float32(BatchNorm.epsilon))
  x = ops.affine(x, gain, norm["bias"] - stats["mean"] * gain, "normalise")
  if by_token:
    x = ops.attend(x, float(head["attention_scale"]))
  return ops.dense(x, **head[CLASSIFIER], name=CLASSIFIER)


def _patches(
  ops: Ops, x: Tensor, size: int, params: Mapping[str, Any], stride: int
) -> Tensor:
  for name, step, padding in (
    ("patch1", stride, "SAME"),
    ("patch2", 2, "VALID"),
  ):
    x, size = _conv(
      ops,
      x,
      size,
      params[name]["depthwise"],
      f"{name}_depthwise",
      stride=step,
      pads=padding,
      depthwise=True,
    )
    x, size = _conv(ops, x, size, params[name]["pointwise"], name)
    x = ops.relu(x)
  x, _ = _conv(ops, x, size, params["patch3"], "patch3")
  return ops.relu(x)


def _mean_and_dense(
  ops: Ops,
  x: Tensor,
  size: int,
  variables: Mapping[str, Any],
  model: ml_collections.ConfigDict,
) -> Tensor:
  """Returns the logits of one dense layer on the mean of the features."""
  del size, model
  return ops.dense(
    ops.pooled(x), **variables["params"][CLASSIFIER], name=CLASSIFIER
  )


# (ops, features, their pixels a side, folded variables, config.model) -> the
# logits.
NETWORKS: dict[str, Callable[..., Tensor]] = {
  "pattlite": _pattlite,
  "eac": _mean_and_dense,
  "baseline": _mean_and_dense,
}
