"""Targets in which trained networks have a share: knowledge distillation.

After Hinton et al., "Distilling the Knowledge in a Neural Network" (2015), at
temperature 1, and Furlanello et al., "Born-Again Neural Networks" (2018), where
teacher and student have the same architecture. Teachers see each training image
once, before augmentation, so they cost nothing in the steps; those that are to
see the student's view are in `same_view`.
"""

import dataclasses
from collections.abc import Mapping

import jax
import numpy as np
from jaxtyping import Float32

from pattlite_jax import trained
from pattlite_jax.data import class_names as class_names_lib
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring import logits as logits_lib

_BATCH_SIZE = 64  # For the teachers; has no effect on the targets.


def load_teachers(names: str) -> dict[str, trained.Trained]:
  """Returns the teachers of config.distillation.teachers, by their names.

  `names` have commas between them, and may be "" for none.

  Raises:
    MissingFileError, UserError: as `trained.load`.
  """
  return {
    name: trained.load(name, "distillation.teachers")
    for name in filter(None, names.split(","))
  }


def teach(
  train: examples_lib.Examples,
  teachers: Mapping[str, trained.Trained],
  *,
  share: float,
) -> examples_lib.Examples:
  """Returns the examples with targets: `share` teachers, the rest label.

  The rest is the targets that the examples have, if any.

  Raises:
    UserError: if a teacher has other classes.
  """
  views = [_probabilities(train, *teacher) for teacher in teachers.items()]
  own = train.targets
  if own is None:
    own = np.eye(len(train.class_names), dtype=np.float32)[train.labels]
  targets = (1 - share) * own + share * np.mean(views, axis=0)
  return dataclasses.replace(train, targets=targets.astype(np.float32))


def columns(
  teacher: trained.Trained, name: str, class_names: tuple[str, ...]
) -> tuple[int, ...]:
  """Returns where a teacher's logits have the classes, in the order given.

  Raises:
    UserError: if the teacher, of this name, has other classes.
  """
  found = class_names_lib.columns(teacher.class_names, class_names)
  if found is None:
    raise UserError(
      f"config.distillation.teachers names {name}, which was trained for "
      f"{', '.join(teacher.class_names)}, but the training images have the "
      f"classes {', '.join(class_names)}."
    )
  return found


def _probabilities(
  train: examples_lib.Examples, name: str, teacher: trained.Trained
) -> Float32[np.ndarray, "N K"]:
  """Returns what a teacher sees in each image alone, in the examples' order."""
  chosen = list(columns(teacher, name, train.class_names))
  logits_of = logits_lib.of_flip_views(teacher.predictor_alone())
  probabilities = np.asarray(jax.nn.softmax(logits_of(train, _BATCH_SIZE)))
  return probabilities[:, chosen]
