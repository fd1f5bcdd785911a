"""Which arrays of a Keras file belong to which layer of its model."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from pattlite_jax.models.mobilenet_v1_layers import LAYERS
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.weights import keras_graph
from pattlite_jax.weights.keras_files import KerasFile, Stored

Arrays = dict[tuple[str, ...], list[np.ndarray]]
# Kinds of MobileNetV1's layers by the groups that Keras names after classes.
_KINDS = {
  "conv2d": ("conv3x3", "pointwise", "logits"),
  "depthwise_conv2d": ("depthwise",),
  "batch_normalization": ("bn",),
}


def of_model(file: KerasFile, model: dict[str, Any]) -> Arrays:
  """Returns the arrays by the places (`Layer.place`) of a model's layers.

  Raises:
    UserError: if the file has arrays that belong to no layer.
  """
  if file.by_class:
    groups = defaultdict(list)
    for stored in file.layers:
      groups[stored.path[:-1]].append(stored)
    found = dict(_of_groups(model, (), (), groups))
  else:
    by_ends = {stored.path: stored for stored in file.layers}
    found = {
      place: by_ends[place[0], place[-1]]
      for place in _places(model, ())
      if (place[0], place[-1]) in by_ends
    }
  used = {id(stored) for stored in found.values()}
  for stored in file.layers:
    if stored.arrays and id(stored) not in used:
      name = stored.name or "/".join(stored.path)
      raise UserError(f"has arrays of {name}, a layer that its model lacks")
  if len(used) < len(found):
    raise UserError("has two layers of one name in one model")
  return {place: stored.arrays for place, stored in found.items()}


def of_trunk(file: KerasFile) -> dict[str, list[np.ndarray]]:
  """Returns the arrays of a MobileNetV1's file by its layers' names.

  Names that the file lacks are found by the order of each class; what is none
  of MobileNetV1's keeps its group's.
  """
  if not file.by_class or all(stored.name for stored in file.layers):
    return {stored.name: stored.arrays for stored in file.layers}
  found = {}
  for base, group in _by_class(file.layers).items():
    kinds = _KINDS.get(base, ())
    names = [layer.name for layer in LAYERS if layer.kind in kinds]
    names += [stored.path[-1] for stored in group[len(names) :]]
    for name, stored in zip(names, group, strict=False):
      found[name] = stored.arrays
  return found


def _places(
  model: dict[str, Any], place: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
  for name, _, layer in keras_graph.children(model):
    if keras_graph.is_model(layer):
      yield from _places(layer, (*place, name))
    else:
      yield (*place, name)


def _of_groups(
  model: dict[str, Any],
  path: tuple[str, ...],
  place: tuple[str, ...],
  groups: dict[tuple[str, ...], list[Stored]],
) -> Iterator[tuple[tuple[str, ...], Stored]]:
  """Yields the stored arrays of a model at `path` in the file.

  Groups are found by the names that they have, or else by the order of each
  class, which the file and the model share.
  """
  own = groups.get(path, [])
  named = {stored.name: stored for stored in own if stored.name}
  of_class = {base: iter(group) for base, group in _by_class(own).items()}
  for name, kind, layer in keras_graph.children(model):
    if len(named) == len(own):
      stored = named.get(name)
    else:
      stored = next(of_class.get(_snake_case(kind), iter(())), None)
    if stored and keras_graph.is_model(layer):
      inner = (*place, name)
      yield from _of_groups(layer, stored.path, inner, groups)
    elif stored:
      yield (*place, name), stored


def _by_class(layers: Iterable[Stored]) -> dict[str, list[Stored]]:
  """Returns the groups of each class, in order: conv2d, conv2d_1, ...

  TensorFlow 2.13 counts layers that have weights twice.
  """
  found = defaultdict(list)
  for stored in layers:
    match = re.fullmatch(r"(.*?)(?:_(\d{1,6}))?", stored.path[-1], re.DOTALL)
    assert match
    found[match[1]].append((int(match[2] or 0), stored))
  return {
    base: [stored for _, stored in sorted(group, key=lambda pair: pair[0])]
    for base, group in found.items()
  }


def _snake_case(name: str) -> str:
  """Returns SeparableConv2D as separable_conv2d, as Keras does."""
  name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
  return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
