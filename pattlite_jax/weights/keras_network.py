"""What a Keras model computes, step by step, beside this project's PAtt-Lite.

Everything between the weights is checked: how pixels are resized and scaled,
kernels, strides and padding, activations, constants, pooling, the places of
dropout, and the order of all of these.
"""

import dataclasses
from typing import Any

from pattlite_jax.models import mobilenet_v1_layers
from pattlite_jax.models.mobilenet_v1_layers import LAYERS
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.weights import keras_pixels
from pattlite_jax.weights.keras_graph import Layer
from pattlite_jax.weights.keras_order import DROPOUTS, Among, Order

PATCHES = "patch_extraction"
HEAD = "attention_classifier"
_EPSILON = 1e-3  # Of batch norm.
_ANY_PADDING = Among(("same", "valid"))  # The same for a 1x1 convolution.


@dataclasses.dataclass(frozen=True)
class Network:
  """What a model's JSON says of the network."""

  input_size: int  # Pixels a side of the pictures it was trained on.
  image_size: int  # Pixels a side after its Resizing layer, if it has one.
  patch_stride: int
  cut: str  # Last layer of the trunk, by the name that Keras gives it.
  attention: str
  num_classes: int
  trunk: dict[str, Layer]  # By the names that Keras gives them.
  head: dict[tuple[str, str], Layer]  # By their places in PAttLite.


def pattlite(layers: list[Layer]) -> Network:
  """Returns what a whole model is.

  Raises:
    UserError: if it computes anything but PAtt-Lite; says what differs.
  """
  _require_pattlite(layers)
  order = Order(layers)
  input_size, image_size = keras_pixels.take_front(order)
  trunk = _take_trunk(order)
  head, stride = _take_patches(order)
  attention, num_classes = _take_classifier(order, head)
  return Network(
    input_size,
    image_size,
    stride,
    list(trunk)[-1],
    attention,
    num_classes,
    trunk,
    head,
  )


def mobilenet(layers: list[Layer]) -> dict[str, Layer]:
  """Returns MobileNetV1's layers by their names, where a file describes them.

  Raises:
    UserError: if they compute anything else; says what differs.
  """
  order = Order(layers)
  if order.kind == "InputLayer":
    keras_pixels.take_input(order)
  trunk = _take_trunk(order)
  order.end()
  return trunk


def _require_pattlite(layers: list[Layer]) -> None:
  """Raises UserError for a model that has hardly anything of a PAtt-Lite."""
  kinds = [layer.kind for layer in layers]
  if "Lambda" in kinds:
    raise UserError(
      "it has a Lambda layer, whose code is never run; build the model with "
      "Keras' own layers, set its weights and save it again"
    )
  if "SeparableConv2D" not in kinds or "InputLayer" not in kinds:
    names = ", ".join(layer.name for layer in layers[:12])
    raise UserError(
      "expected an InputLayer, MobileNet's layers and one 4x4 "
      f"SeparableConv2D, but its layers are {names}, ..."
    )


def _take_trunk(order: Order) -> dict[str, Layer]:
  """Takes MobileNetV1's layers as far as there are any."""
  trunk = {}
  for own in LAYERS:
    if trunk and order.kind in ("", "SeparableConv2D"):
      break
    trunk[own.name] = _take_trunk_layer(order, own)
  return trunk


def _take_trunk_layer(order: Order, own: mobilenet_v1_layers.Layer) -> Layer:
  kernel = {"filters": own.features, "strides": own.stride, "use_bias": False}
  match own.kind:
    case "conv3x3":
      return order.take("Conv2D", kernel_size=3, padding="same", **kernel)
    case "pointwise":
      return order.take("Conv2D", kernel_size=1, padding=_ANY_PADDING, **kernel)
    case "logits":
      kernel["use_bias"] = True
      return order.take("Conv2D", kernel_size=1, padding=_ANY_PADDING, **kernel)
    case "depthwise":
      padding = "same" if own.stride == 1 else "valid"
      del kernel["filters"]
      return order.take(
        "DepthwiseConv2D", kernel_size=3, padding=padding, **kernel
      )
    case "bn":
      return _take_batch_norm(order, rank=4)
    case "pad":
      return order.take("ZeroPadding2D", padding=[[0, 1], [0, 1]])
    case "pool":
      return order.take("GlobalAveragePooling2D", keepdims=True)
    case "dropout":
      return order.take("Dropout")
    case "flatten":
      return order.take("Reshape", target_shape=[1000])
  return order.take("Activation", activation=own.kind)  # relu6, softmax


def _take_batch_norm(order: Order, rank: int) -> Layer:
  axis = Among((-1, rank - 1))
  return order.take("BatchNormalization", axis=axis, epsilon=_EPSILON)


def _take_patches(
  order: Order,
) -> tuple[dict[tuple[str, str], Layer], int]:
  """Takes the patch extraction; returns its layers and its first stride."""
  common = {"filters": 256, "use_bias": True}
  stride = _stride(order)
  head = {}
  for name, kind, fields in (
    ("patch1", "SeparableConv2D", (4, stride, "same")),
    ("patch2", "SeparableConv2D", (2, 2, "valid")),
    ("patch3", "Conv2D", (1, 1, _ANY_PADDING)),
  ):
    size, step, padding = fields
    head[PATCHES, name] = order.take(
      kind, kernel_size=size, strides=step, padding=padding, **common
    )
    order.take("Activation", activation="relu")
  return head, stride


def _stride(order: Order) -> int:
  """Returns the stride of the next layer, the first of the patches."""
  if order.kind != "SeparableConv2D":
    return 4  # `take` will say that another layer comes.
  given = order.layer.fields["strides"]
  sides = given if isinstance(given, list) else [given]
  is_whole = all(type(side) is int for side in sides)
  if not is_whole or len(set(sides)) != 1 or sides[0] not in range(1, 4097):
    raise UserError(
      f"its 4x4 SeparableConv2D has the stride {given!r}, but must have one of "
      "whole pixels, the same each way"
    )
  return sides[0]


def _take_classifier(
  order: Order, head: dict[tuple[str, str], Layer]
) -> tuple[str, int]:
  """Takes the rest of the layers.

  Returns what the attention attends over, and the number of classes.
  """
  order.skip(DROPOUTS)
  of_patches = order.kind == "Reshape"
  if of_patches:
    count = order.layer.fields["target_shape"][0]
    if count != -1:  # Keras' word for what is left.
      _whole(count, "patches")
    order.take("Reshape", target_shape=[count, 256])
  else:
    order.take("GlobalAveragePooling2D")
  order.skip(DROPOUTS)
  head[HEAD, "pre_classifier"] = order.take("Dense", units=32, use_bias=True)
  order.take("Activation", activation="relu")
  head[HEAD, "pre_classifier_bn"] = _take_batch_norm(
    order, rank=3 if of_patches else 2
  )
  attention = "token" if of_patches else "none"
  if of_patches or order.kind == "Attention":
    head[HEAD, "attention_scale"] = order.take("Attention", use_scale=True)
    attention = "token" if of_patches else "batch"
  if of_patches:
    order.take("GlobalAveragePooling1D")
  order.skip(DROPOUTS)
  units = 0  # `take` will say that another layer comes.
  if order.kind == "Dense":
    units = _whole(order.layer.fields["units"], "classes")
  head[HEAD, "classifier"] = order.take("Dense", units=units, use_bias=True)
  order.take("Activation", activation="softmax")
  order.end()
  return attention, units


def _whole(value: Any, things: str) -> int:
  """Returns a number of things; raises UserError for none, such as True."""
  if type(value) is not int or value < 1:
    raise UserError(f"its number of {things} is {value!r}, no whole number")
  return value
