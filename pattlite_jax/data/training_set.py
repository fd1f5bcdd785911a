"""The training images as a run uses them: labels, annotations, sampling."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np

from pattlite_jax.data import action_units, label_noise
from pattlite_jax.data.examples import (
  Examples,
  epoch_size,
  require_every_class,
)


def of_config(
  config: ml_collections.ConfigDict, splits: Mapping[str, Examples]
) -> Examples:
  """Returns the training split with what `config` changes in it.

  Raises:
    UserError, MissingFileError: as `label_noise.read` and `action_units.read`;
      for a class without images, with config.data.sampling=balanced.
  """
  fields, train = config.data, splits["train"]
  labels = train.labels
  if fields.label_file:
    labels = label_noise.read(fields.label_file, splits)
  if fields.label_noise:
    labels = label_noise.flip(
      labels, len(train.class_names), fields.label_noise, config.seed
    )
  annotations = dict(train.annotations)
  if fields.au_file:
    names = action_units.columns(config.model.action_units)
    annotations |= action_units.read(fields.au_file, names, splits)
  changed = dataclasses.replace(
    train, labels=labels, annotations=annotations, sampling=fields.sampling
  )
  if fields.sampling == "balanced":
    require_every_class(changed, "config.data.sampling=balanced")
  return changed


def describe(
  config: ml_collections.ConfigDict, own: Examples, train: Examples
) -> dict[str, Any]:
  """Returns what result.json says of the training images.

  `own` are those of the data set, `train` those of `of_config`.
  """
  return {
    "sampling": config.data.sampling,
    "images_an_epoch": epoch_size(train),
    "with_validation": config.data.train_on_validation,
    "label_noise": config.data.label_noise,
    "label_file": config.data.label_file,
    "wrong_labels": int(np.sum(own.labels != train.labels)),
  }
