"""Images that stand in for a data set's: their shape and classes alone count.

So a program can be compiled where the data set is not.
"""

import dataclasses

import ml_collections
import numpy as np
from etils import epath

from pattlite_jax.data import action_units, classes, source
from pattlite_jax.data.examples import Examples

_IMAGES_A_CLASS = 1000  # Where no class counts are published.
_OWN_CLASSES = 7  # Of folders of a user's own, which are not read.


def training_images(config: ml_collections.ConfigDict) -> Examples:
  """Returns black images with the shape and class counts of the data set.

  They take no memory. A packed set is read, if its file is here. Own folders,
  whose names would tell the classes, count as coloured images of 7 classes.

  Raises:
    UserError: if there is no such data set, or no such class in it.
  """
  data = config.data
  if data.packed and epath.Path(data.packed).expanduser().exists():
    return source.of_config(data).load()["train"]
  from pattlite_jax.data import load

  names, (height, width, channels) = load.declared(data.name)
  names = names or tuple(f"class {k}" for k in range(_OWN_CLASSES))
  counts = load.published_counts(data.name).get(
    "train", [_IMAGES_A_CLASS] * len(names)
  )
  labels = np.repeat(np.arange(len(names), dtype=np.int32), counts)
  found = Examples(
    np.zeros((len(labels), 0, 0, 1), np.uint8),
    labels,
    np.broadcast_to("", len(labels)),
    names,
    targets=_targets(config, len(labels), len(names)),
    annotations=_annotations(config, len(labels)),
  )
  if data.classes:
    found = classes.choose(found, data.classes)
  shape = (height or data.image_size, width or data.image_size, channels)
  black = np.broadcast_to(np.zeros((), np.uint8), (len(found), *shape))
  return dataclasses.replace(found, images=black, sampling=data.sampling)


def _targets(
  config: ml_collections.ConfigDict, num_images: int, num_classes: int
) -> np.ndarray | None:
  """Votes, or what teachers saw before the training."""
  teachers = config.distillation.teachers
  if config.data.soft_targets or (
    teachers and config.distillation.view != "student"
  ):
    share = np.float32(1 / num_classes)
    return np.broadcast_to(share, (num_images, num_classes))
  return None


def _annotations(
  config: ml_collections.ConfigDict, num_images: int
) -> dict[str, np.ndarray]:
  if not config.data.au_file:
    return {}
  units = len(action_units.columns(config.model.action_units))
  nothing = np.zeros((), np.float32)
  return {
    "action_units": np.broadcast_to(nothing, (num_images, units)),
    "affect": np.broadcast_to(nothing, (num_images, 2)),
  }
