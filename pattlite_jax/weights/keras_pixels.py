"""What a Keras model does to pixels before its first layer with weights."""

import math
from typing import Any

from pattlite_jax.runtime.errors import UserError
from pattlite_jax.weights.keras_graph import Layer, Tensor
from pattlite_jax.weights.keras_order import AUGMENTATION, Order

POSSIBLE_SIZES = range(1, 4097)  # Pixels.
_SCALE, _OFFSET = 1 / 127.5, -1.0  # MobileNet's preprocess_input.
# Arithmetic on pixels by its class in Keras 3, or its function in tf.keras.
_OPERATIONS = {
  "Add": "add",
  "Divide": "divide",
  "Multiply": "multiply",
  "Subtract": "subtract",
  "TrueDivide": "divide",
  "__operators__.add": "add",
  "math.add": "add",
  "math.divide": "divide",
  "math.multiply": "multiply",
  "math.subtract": "subtract",
  "math.truediv": "divide",
}


def take_input(order: Order) -> Layer:
  """Takes the input layer."""
  fields = order.layer.fields
  names = ("batch_shape", "batch_input_shape")  # Keras 3, tf.keras.
  return order.take(
    "InputLayer", **{name: fields[name] for name in names if name in fields}
  )


def take_front(order: Order) -> tuple[int, int]:
  """Takes all layers before the trunk.

  Returns the pixels a side of the input, and of what the trunk sees.

  Raises:
    UserError: if the trunk gets other numbers than in this project.
  """
  fields = take_input(order).fields
  shape = fields.get("batch_shape") or fields["batch_input_shape"]
  if not isinstance(shape, list) or len(shape) != 4:
    raise UserError(
      f"its input has the shape {shape}, but must have [None, size, size, 3]"
    )
  if shape[0] is not None and type(shape[0]) is not int:
    raise UserError(f"its batch size is {shape[0]!r}, no whole number")
  input_size = _square("input", shape[1], shape[2])
  if type(shape[3]) is not int or shape[3] != 3:
    raise UserError(f"its input has {shape[3]} channels, but must have 3")
  sizes = [input_size]
  scale, offset = 1.0, 0.0
  order.skip(AUGMENTATION)
  while order.kind in ("Resizing", "Rescaling", "TFOpLambda", *_OPERATIONS):
    if order.kind == "Resizing":
      sizes.append(_resize(order))
    else:
      scale, offset = _scaled(order, scale, offset)
    order.skip(AUGMENTATION)
  if len(sizes) > 2:
    raise UserError(f"resizes pictures to {sizes[1:]} pixels, one by one")
  if order.kind == "Conv2D":  # Otherwise the trunk will say what comes.
    _require_preprocessing(scale, offset)
  return input_size, sizes[-1]


def _require_preprocessing(scale: float, offset: float) -> None:
  # Another relative 1e-5 would move no number by more than 2e-5.
  same = math.isclose(scale, _SCALE, rel_tol=1e-5)
  if not (same and math.isclose(offset, _OFFSET, rel_tol=1e-5)):
    raise UserError(
      f"makes {scale:.7g} * pixel {offset:+.7g} of each pixel, but this "
      "project's network takes pixel / 127.5 - 1, as MobileNet's "
      "preprocess_input makes it"
    )


def _square(name: str, height: Any, width: Any) -> int:
  is_whole = type(height) is int and type(width) is int
  if not is_whole or height not in POSSIBLE_SIZES or height != width:
    raise UserError(
      f"the {name}'s pictures have {height} x {width} pixels, but they must be "
      f"square and of one size, up to {POSSIBLE_SIZES[-1]}"
    )
  return height


def _resize(order: Order) -> int:
  fields = order.layer.fields
  size = _square("Resizing layer", fields["height"], fields["width"])
  order.take("Resizing", height=size, width=size, interpolation="bilinear")
  return size


def _scaled(order: Order, scale: float, offset: float) -> tuple[float, float]:
  """Takes an operation; returns what scale * pixel + offset become."""
  layer = order.layer
  if order.kind == "Rescaling":
    factor = _number(layer, layer.fields["scale"])
    added = _number(layer, layer.fields["offset"])
    order.take("Rescaling", scale=factor, offset=added)
    return scale * factor, offset * factor + added
  operation = _OPERATIONS.get(layer.fields.get("function", order.kind))
  named = (layer.kwargs.get(key) for key in ("x", "y", "x1", "x2"))
  values = [*layer.args, *(value for value in named if value is not None)]
  numbers = [value for value in values if not isinstance(value, Tensor)]
  if operation is None or len(values) != 2 or len(numbers) != 1:
    raise UserError(f"does with pixels what this project does not: {layer}")
  order.take_call(("x", "y", "x1", "x2"))
  number = _number(layer, numbers[0])
  if values[0] is numbers[0]:  # Such as 255 - pixel.
    if operation == "divide":
      raise UserError(f"divides a number by pixels in {layer}")
    if operation == "subtract":
      return -scale, number - offset
  return _computed(operation, scale, offset, number)


def _computed(
  operation: str, scale: float, offset: float, number: float
) -> tuple[float, float]:
  match operation:
    case "add":
      return scale, offset + number
    case "subtract":
      return scale, offset - number
    case "multiply":
      return scale * number, offset * number
  if not number:
    raise UserError("divides pixels by 0")
  return scale / number, offset / number


def _number(layer: Layer, value: Any) -> float:
  """Returns a constant; UserError for other things, or one a channel."""
  if type(value) not in (int, float) or not abs(value) < 1e30:
    raise UserError(
      f"the layer {layer} computes pixels with {str(value)[:60]}, where this "
      "project's network has one number for all channels"
    )
  return float(value)
