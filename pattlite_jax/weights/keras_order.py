"""Compares a Keras model, layer by layer, with what this project computes."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

from pattlite_jax.runtime.errors import UserError
from pattlite_jax.weights import keras_graph
from pattlite_jax.weights.keras_graph import Layer

DROPOUTS = ("Dropout", "SpatialDropout2D", "AlphaDropout", "GaussianDropout")
# What Keras does in training alone; RandomCrop crops always.
AUGMENTATION = (
  "GaussianNoise",
  "RandomBrightness",
  "RandomContrast",
  "RandomFlip",
  "RandomRotation",
  "RandomTranslation",
  "RandomZoom",
)
# Fields of any layer: what they must be where they are not asked for.
_NEUTRAL: dict[str, Any] = {
  "antialias": False,
  "center": True,
  "crop_to_aspect_ratio": False,
  "data_format": "channels_last",
  "depth_multiplier": 1,
  "dilation_rate": 1,
  "groups": 1,
  "keepdims": False,
  "negative_slope": 0.0,
  "pad_to_aspect_ratio": False,
  "scale": True,
  "score_mode": "dot",
  "threshold": 0.0,
}
# Fields that change nothing about a prediction.
_HARMLESS = (
  "batch_input_shape",
  "build_input_shape",
  "dropout",  # Of the attention's scores, in training.
  "dtype",  # See `_require_float32`.
  "fill_mode",
  "fill_value",
  "momentum",
  "name",
  "noise_shape",
  "rate",
  "renorm_momentum",
  "seed",
  "trainable",
)
_HARMLESS_ENDS = ("_constraint", "_initializer", "_regularizer")
_IN_TRAINING = (*DROPOUTS, *AUGMENTATION, "Attention", "BatchNormalization")


class Among(tuple):
  """Values of which a field may have any."""


class Order:
  """The layers of a model, taken one after the other.

  An activation within a layer counts as a layer of its own, and inputs of
  inner models and activations that do nothing as none.
  """

  def __init__(self, layers: Sequence[Layer]):
    self._layers = list(_apart(layers))
    self._next = 0

  @property
  def kind(self) -> str:
    """The class of the next layer; "" at the end."""
    return self.layer.kind if self._next < len(self._layers) else ""

  @property
  def layer(self) -> Layer:
    """The next layer."""
    return self._layers[self._next]

  def take(self, kind: str, **fields: Any) -> Layer:
    """Returns the next layer, which must be of a class and have such fields.

    Raises:
      UserError: if it is another one; says what differs.
    """
    if self.kind != kind:
      raise UserError(self._found_instead(_wanted(kind, fields)))
    layer = self.layer
    self._next += 1
    require(layer, fields)
    return layer

  def take_call(self, arguments: Sequence[str]) -> Layer:
    """Returns the next layer, an operation; its `arguments` are not checked."""
    layer = self.layer
    self._next += 1
    kwargs = {k: v for k, v in layer.kwargs.items() if k not in arguments}
    fields = {k: v for k, v in layer.fields.items() if k != "function"}
    require(
      dataclasses.replace(layer, fields=fields, args=(), kwargs=kwargs), {}
    )
    return layer

  def skip(self, kinds: Sequence[str]) -> None:
    """Passes the layers of some classes, which only act in training."""
    while self.kind in kinds:
      _require_call(self.layer)
      _require_float32(self.layer)
      self._next += 1

  def end(self) -> None:
    """Raises UserError if there is another layer."""
    if self.kind:
      raise UserError(self._found_instead("the end"))

  def _found_instead(self, wanted: str) -> str:
    before = self._layers[self._next - 1] if self._next else "the input"
    found = self.layer if self.kind else "the end"
    return (
      f"after {before} comes {found}, where this project's network has {wanted}"
    )


def _wanted(kind: str, fields: dict[str, Any]) -> str:
  return fields["activation"] if kind == "Activation" else kind


def _apart(layers: Sequence[Layer]) -> Iterator[Layer]:
  """Yields the layers with their activations apart, all by one name."""
  for index, layer in enumerate(layers):
    activation = layer.fields.get("activation")
    fields = {k: v for k, v in layer.fields.items() if k != "activation"}
    if layer.kind == "InputLayer" and index:
      continue
    if layer.kind == "ReLU":
      limit = fields.pop("max_value", None)
      activation = {None: "relu", 6: "relu6"}.get(_number(limit), repr(limit))
    if layer.kind == "Softmax" and _same(fields.pop("axis", -1), -1):
      activation = "softmax"
    if layer.kind not in ("Activation", "ReLU", "Softmax"):
      yield dataclasses.replace(layer, fields=fields)
      fields = {}
    if activation not in (None, "linear"):
      own = fields | {"activation": activation}
      yield dataclasses.replace(layer, kind="Activation", fields=own)


def _number(value: Any) -> Any:
  """Returns a number, or None; anything else becomes its text."""
  if value is None or type(value) in (int, float):
    return value
  return repr(value)


def require(layer: Layer, wanted: dict[str, Any]) -> None:
  """Raises UserError for a field, or a call, that computes something else."""
  _require_call(layer)
  _require_float32(layer)
  wanted = dict(wanted)
  for key, value in layer.fields.items():
    if key in wanted:
      expected = wanted.pop(key)
    elif key in _NEUTRAL:
      expected = _NEUTRAL[key]
    elif key in _HARMLESS or key.endswith(_HARMLESS_ENDS):
      continue
    else:  # Of a newer Keras: off, or something that nobody knows here.
      expected = Among((None, False))
    if not _same(value, expected):
      raise UserError(
        f"the layer {layer} has {key} {value!r}, where this project's network "
        f"has {_text(expected)}"
      )
  if wanted:
    raise UserError(f"the layer {layer} does not say its {', '.join(wanted)}")


def _require_call(layer: Layer) -> None:
  if layer.kind in _IN_TRAINING:
    keras_graph.require_inference(layer)
  odd = [
    f"{key} {value!r}"
    for key, value in layer.kwargs.items()
    if key not in ("training", "name") and value not in (None, False)
  ] + [repr(a) for a in layer.args if not isinstance(a, keras_graph.Tensor)]
  if odd:
    raise UserError(
      f"the layer {layer} is called with {odd[0]}, which this project's "
      "network knows nothing of"
    )


def _require_float32(layer: Layer) -> None:
  dtype = layer.fields.get("dtype", "float32")
  if isinstance(dtype, dict):
    dtype = dtype.get("config", {}).get("name", dtype)
  if dtype not in ("float32", None):
    raise UserError(
      f"the layer {layer} computes in {dtype}, where this project's network "
      "computes in float32"
    )


def _same(value: Any, wanted: Any) -> bool:
  """Whether a field is what is wanted; a size may be there for each side."""
  if isinstance(wanted, Among):
    return any(_same(value, one) for one in wanted)
  if type(wanted) is float:
    return type(value) in (int, float) and math.isclose(
      value, wanted, rel_tol=1e-5
    )
  if isinstance(value, list):
    if isinstance(wanted, list):
      return len(value) == len(wanted) and all(map(_same, value, wanted))
    return bool(value) and all(
      not isinstance(one, list) and _same(one, wanted) for one in value
    )
  return type(value) is type(wanted) and value == wanted


def _text(expected: Any) -> str:
  if isinstance(expected, Among):
    return " or ".join(dict.fromkeys(map(repr, expected)))
  return repr(expected)
