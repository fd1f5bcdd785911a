"""Where a data set comes from: its files, through TFDS, or a packed file."""

import dataclasses

import ml_collections
import numpy as np

from pattlite_jax.data import class_names, classes
from pattlite_jax.data.examples import Examples, joined
from pattlite_jax.data.examples_check import SPLITS
from pattlite_jax.data.streamed import StreamedImages
from pattlite_jax.runtime.errors import UserError


@dataclasses.dataclass(frozen=True)
class DataSource:
  """A data set and where it lies."""

  name: str  # Such as "ferplus/majority".
  dir: str  # The data directory, where the downloaded files lie.
  prepared_dir: str  # The folder of TFDS' copies.
  image_size: int  # Pixels; only for sets of mixed sizes (CK+).
  packed: str = ""  # A file of `pack`, which is read in place of `dir`.
  download: bool = False  # Fetch missing files (FER2013 alone).
  classes: str = ""  # Which of its classes, as `classes.parse` reads them.
  memory_gb: float = 0.0  # For images, as in `load.load_splits`.
  skip_bad: bool = False  # Leave out pictures that cannot be read.
  train_on_validation: bool = False  # The former then holds the latter's.

  def load(self, *, soft_targets: bool = False) -> dict[str, Examples]:
    """Returns train, validation and test; a packed set needs no TensorFlow.

    Raises:
      UserError, FileError: as `load.load_splits`, `packed.read` and
        `classes.choose`; if two classes have names that mean the same; if
        images on disk are to be trained on with those of another split.
    """
    splits = self._load(soft_targets)
    if self.train_on_validation:
      splits = _with_validation(splits)
    class_names.require_distinct(
      next(iter(splits.values())).class_names, f"The data set {self.name}"
    )
    if not self.classes:
      return splits
    return {
      split: classes.choose(examples, self.classes)
      for split, examples in splits.items()
    }

  def _load(self, soft_targets: bool) -> dict[str, Examples]:
    if self.packed:
      from pattlite_jax.data import packed

      found = packed.read(self.packed, self.name, soft_targets=soft_targets)
      empty = next(iter(found.values())).take(np.arange(0))
      return {name: found.get(name, empty) for name in SPLITS}
    from pattlite_jax.data import load

    return load.load_splits(
      self.name,
      data_dir=self.dir,
      prepared_dir=self.prepared_dir,
      image_size=self.image_size,
      download=self.download,
      soft_targets=soft_targets,
      memory_gb=self.memory_gb,
      skip_bad=self.skip_bad,
    )


def _with_validation(splits: dict[str, Examples]) -> dict[str, Examples]:
  """Moves the validation images to the training images."""
  train, validation = splits["train"], splits["validation"]
  if isinstance(train.images, StreamedImages):
    raise UserError(
      "data.train_on_validation needs the images in memory, and these are read "
      "from disk; raise data.memory_gb if the host has more."
    )
  return splits | {
    "train": joined(train, validation),
    "validation": validation.take(np.arange(0)),
  }


def of_config(fields: ml_collections.ConfigDict) -> DataSource:
  """Returns the source that a config's `data` names."""
  return DataSource(
    fields.name,
    fields.dir,
    fields.prepared_dir,
    fields.image_size,
    fields.packed,
    fields.download,
    fields.classes,
    fields.memory_gb,
    fields.on_bad_image == "skip",
    fields.train_on_validation,
  )


@dataclasses.dataclass(frozen=True)
class DataChoice:
  """The data set that a user asks for; what is None is as in training."""

  name: str | None = None
  dir: str | None = None
  packed: str | None = None  # Also says the name, if that is None.
  classes: str | None = None
  on_bad_image: str | None = None

  def source(self, fields: ml_collections.ConfigDict) -> DataSource:
    """Returns the source, given the `data` of the training's config.

    Raises:
      UserError: if neither names a data set; as `packed.name_in`.
    """
    trained_on = of_config(fields)
    name = self.name
    if self.packed and not name:
      from pattlite_jax.data import packed

      name = packed.name_in(self.packed)
    name = name or trained_on.name
    if not name:
      raise UserError("The checkpoint names no data set.", setting="data.name")
    same_files = name == trained_on.name and self.dir is None
    as_trained = trained_on.packed if same_files else ""
    return dataclasses.replace(
      trained_on,
      name=name,
      dir=trained_on.dir if self.dir is None else self.dir,
      packed=as_trained if self.packed is None else self.packed,
      classes=trained_on.classes if self.classes is None else self.classes,
      download=False,
      skip_bad=trained_on.skip_bad
      if self.on_bad_image is None
      else self.on_bad_image == "skip",
      train_on_validation=trained_on.train_on_validation
      and name == trained_on.name,
    )
