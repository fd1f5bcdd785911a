"""The layers of a Keras model in the order that an image passes them.

Reads the JSON that Keras 3 and tf.keras write of a model, and runs none of it.
Models within models are laid out flat.
"""

import contextlib
import dataclasses
import json
import textwrap
from collections.abc import Iterator
from typing import Any

from pattlite_jax.runtime.errors import UserError

MAX_LAYERS = 1000  # A PAtt-Lite with MobileNetV1's whole trunk has about 110.
_MAX_DEPTH = 10  # Models within models.
_MODELS = ("Functional", "Sequential", "Model")


@contextlib.contextmanager
def errors_about(begin: str) -> Iterator[None]:
  """Makes one line, which begins so, of what is wrong with a description.

  Raises:
    UserError: in place of what broken JSON makes Python raise.
  """
  try:
    yield
  except UserError as error:
    reason = str(error)
  except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
    reason = f"it does not describe its model as Keras does: {error!r}"
  except RecursionError:
    reason = "its description is broken: too deep"
  except ValueError as error:  # No JSON.
    reason = f"its description is broken: {error}"
  else:
    return
  reason = textwrap.shorten(reason, 500, placeholder="...").rstrip(".")
  raise UserError(f"{begin}: {reason}.")


@dataclasses.dataclass(frozen=True)
class Tensor:
  """In a call: the output of the layer of a name."""

  layer: str


@dataclasses.dataclass(frozen=True)
class Layer:
  """A layer, and how it is called."""

  kind: str  # Its class in Keras.
  name: str
  fields: dict[str, Any]
  place: tuple[str, ...]  # The models around it, by their names, and its own.
  args: tuple[Any, ...] = ()  # A `Tensor`, and what is constant.
  kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)

  def __str__(self) -> str:
    return f"{self.name} ({self.kind})"


def read(description: str | bytes) -> tuple[list[Layer], dict[str, Any]]:
  """Returns the layers from the input to the output, and the parsed JSON.

  Raises:
    UserError: if it does not describe a model whose layers form one chain.
    Exception: as `errors_about` takes, for what Keras never writes.
  """
  try:
    model = json.loads(description)
  except RecursionError as error:
    raise UserError("its description is broken: too deep") from error
  return list(_of_model(model, ())), model


def children(model: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
  """Returns (name, class, description) of a model's layers, as it lists them.

  Raises:
    UserError: if there are more than `MAX_LAYERS`.
  """
  described = model["config"]["layers"]
  if len(described) > MAX_LAYERS:
    raise UserError(
      f"has {len(described):,} layers, of which at most {MAX_LAYERS:,} are read"
    )
  return [
    (layer["config"]["name"], layer["class_name"], layer) for layer in described
  ]


def is_model(layer: dict[str, Any]) -> bool:
  """Whether a described layer is itself a model."""
  return layer["class_name"] in _MODELS and "layers" in layer["config"]


def _of_model(model: dict[str, Any], place: tuple[str, ...]) -> Iterator[Layer]:
  """Yields the layers of a model and of the models within it, in order."""
  if len(place) > _MAX_DEPTH:
    raise UserError(f"has models more than {_MAX_DEPTH} deep in one another")
  layers = children(model)
  if model["class_name"] == "Sequential":
    calls = [(name, ((), {})) for name, _, _ in layers]
  else:
    calls = list(_calls_in_order(model["config"]))
  described = {name: layer for name, _, layer in layers}
  unused = described.keys() - {name for name, _ in calls}
  if unused or len(described) < len(layers):
    raise UserError(
      "has layers beside the way from its input to its output, or two of one "
      f"name: {', '.join(sorted(unused)[:4])}"
    )
  for name, (args, kwargs) in calls:
    layer = described[name]
    own = Layer(
      layer["class_name"], name, layer["config"], (*place, name), args, kwargs
    )
    if is_model(layer):
      require_inference(own)
      yield from _of_model(layer, own.place)
    else:
      yield own


def require_inference(layer: Layer) -> None:
  """Raises UserError for a layer that always does what it does in training."""
  if layer.kwargs.get("training"):
    raise UserError(
      f"calls {layer} with training={layer.kwargs['training']}, so it "
      "predicts as in training, which this project does not"
    )


def _calls_in_order(config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
  """Returns (name, (args, kwargs)) from the input to the output."""
  described = {layer["name"]: layer for layer in config["layers"]}
  last, first = (_only(config[f"{end}_layers"]) for end in ("output", "input"))
  found: dict[str, Any] = {}
  name = last
  while name not in found:
    nodes = described[name]["inbound_nodes"]
    found[name] = _call(name, nodes)
    sources = set(_tensors(found[name][0])) | set(
      _tensors(found[name][1].values())
    )
    if not sources:
      break
    if len(sources) > 1:
      raise UserError(
        f"has the layer {name}, which takes the outputs of several layers: "
        f"{', '.join(sorted(sources)[:4])}"
      )
    (name,) = sources
  if name != first:
    raise UserError(f"has no way from its input {first} to its output {last}")
  return reversed(found.items())


def _only(ends: list[Any]) -> str:
  """Returns the name in ["a", 0, 0] or [["a", 0, 0]]."""
  if ends and isinstance(ends[0], list):
    if len(ends) > 1:
      raise UserError("has more than one input or output")
    ends = ends[0]
  return ends[0]


def _call(name: str, nodes: list[Any]) -> tuple[tuple[Any, ...], dict]:
  """Returns the (args, kwargs) of a layer that is called once, or never."""
  if not nodes:
    return (), {}
  if len(nodes) > 1:
    raise UserError(f"calls its layer {name} {len(nodes)} times")
  (node,) = nodes
  if isinstance(node, dict):  # Keras 3
    args = _flat(_argument(value) for value in node["args"])
    return args, {k: _argument(v) for k, v in node["kwargs"].items()}
  if node and isinstance(node[0], str):
    node = [node]  # tf.keras lists a function's input alone.
  kwargs = {k: v for _, _, _, own in node for k, v in own.items()}
  return _flat(
    index if source == "_CONSTANT_VALUE" else _tensor(source, index)
    for source, _, index, _ in node
  ), kwargs


def _argument(value: Any) -> Any:
  """Returns a `Tensor`, or a constant or list as it is."""
  if isinstance(value, list):
    return [_argument(item) for item in value]
  if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
    layer, _, index = value["config"]["keras_history"]
    return _tensor(layer, index)
  return value


def _tensor(layer: str, index: Any) -> Tensor:
  if index != 0:
    raise UserError(f"uses output {index!r} of its layer {layer}")
  return Tensor(layer)


def _flat(values) -> tuple[Any, ...]:
  return tuple(
    item
    for value in values
    for item in (value if isinstance(value, list) else [value])
  )


def _tensors(values) -> Iterator[str]:
  for value in _flat(values):
    if isinstance(value, Tensor):
      yield value.layer
