"""Loads a data set by name: prepares it once with TFDS, and reads that copy.

TensorFlow and the builders are imported only when a data set is loaded.
"""

import contextlib
import dataclasses
import difflib
import io
import os
from collections.abc import Iterator, Mapping

from absl import logging

from pattlite_jax.data import prepared, prepared_read, user_files
from pattlite_jax.data.examples import Examples, class_counts
from pattlite_jax.data.streamed import StreamedImages
from pattlite_jax.runtime.errors import UserError


def load_splits(
  name: str,
  *,
  data_dir: str,
  prepared_dir: str,
  image_size: int,
  download: bool = False,
  soft_targets: bool = False,
  memory_gb: float = 0.0,
  skip_bad: bool = False,
) -> dict[str, Examples]:
  """Returns train, validation and test of a data set; some may be empty.

  The set is prepared once below `prepared_dir`, and again when its files in
  `data_dir` change. Images keep their native size; if they differ in size
  within the set (CK+), all become `image_size` x `image_size`. With
  `soft_targets` they have the targets of the set.

  Images that take more than `memory_gb` stay on disk; 0 is a quarter of the
  host's memory. With `skip_bad`, pictures that cannot be read are left out.

  Raises:
    UserError: if the name is unknown, a file of the set is broken, or it has
      no soft targets.
    MissingFileError: if the files are missing; says where to get them.
    FileError: if the prepared copy is damaged; says what to delete.
  """
  builder_class, config = _find_builder(name)
  if soft_targets and not builder_class.HAS_TARGETS:
    raise UserError(
      f"{name} has one label an image and no votes to train on; turn soft "
      "targets off, or choose a set with votes, such as ferplus/majority.",
      setting="data.soft_targets",
    )
  folder = _folder(name, data_dir)
  if download:
    from pattlite_jax.data import download as download_lib

    download_lib.download_if_missing(builder_class, folder)
  builder_class = builder_class.for_folder(folder, config)
  files = builder_class.source_files(folder)
  for line in builder_class.remarks(folder):
    logging.warning("%s: %s", name, line)
  prepared_root = os.path.expanduser(prepared_dir)  # May also be gs://...
  place = folder.parent if folder.is_file() else folder
  target = f"{prepared_root}/{user_files.fingerprint(place, files)}"
  if builder_class.ANY_SIZE:
    target += f"-{image_size}"
  logging.info("Data set %s of %s, prepared in %s.", name, folder, target)
  with _quiet_tensorflow():
    with prepared.errors_about(name, target):
      prepared.require_plain(target)
      builder = builder_class(data_dir=target, config=config)
    was_prepared = builder.data_path.exists()
    if not was_prepared:
      builder.files_dir, builder.image_size = folder, image_size
      builder.skip_bad = skip_bad
      builder = prepared.write(builder)
    with prepared.errors_about(name, str(builder.data_path)):
      splits = prepared_read.read(
        builder,
        image_size=image_size,
        memory_gb=memory_gb,
        skip_bad=skip_bad,
      )
  if isinstance(splits["train"].images, StreamedImages):
    size = sum(own.images.nbytes for own in splits.values()) / 1e9
    logging.info("%s: %.1f GB of images are read from disk.", name, size)
  for line in builder.remarks_on(splits):
    logging.warning("%s: %s", name, line)
  if not soft_targets:
    splits = {
      split: dataclasses.replace(examples, targets=None)
      for split, examples in splits.items()
    }
  if was_prepared:  # Otherwise the builder has just said so.
    builder.log_count_differences(
      {k: tuple(class_counts(v).tolist()) for k, v in splits.items()}
    )
  return splits


def published_counts(name: str) -> Mapping[str, tuple[int, ...]]:
  """Returns the published class counts of each split of a data set.

  The split "all" stands for all together; {} where nothing is published.

  Raises:
    UserError: if the name is unknown.
  """
  builder_class, config = _find_builder(name)
  # Nothing is prepared, so the folder is neither read nor made.
  return builder_class(data_dir="unused", config=config).published_counts()


def declared(
  name: str,
) -> tuple[tuple[str, ...], tuple[int | None, int | None, int]]:
  """Returns a data set's class names and the shape of its images.

  There are no names where the files tell them; height and width are None where
  the images differ in size.

  Raises:
    UserError: if the name is unknown.
  """
  builder_class, _ = _find_builder(name)
  return builder_class.CLASS_NAMES, builder_class.IMAGE_SHAPE


def has_targets(name: str) -> bool:
  """Whether a data set has targets (`soft_targets`); see `load_splits`."""
  return _find_builder(name)[0].HAS_TARGETS


def require_files(name: str, data_dir: str) -> None:
  """Raises MissingFileError, saying what to get, if files are missing."""
  builder_class, _ = _find_builder(name)
  builder_class.source_files(_folder(name, data_dir))


def files_of(
  name: str, data_dir: str
) -> tuple[list[user_files.Path], list[str]]:
  """Returns the files that a set is made of, and what is odd about them.

  Raises:
    UserError, MissingFileError: as `load_splits`.
  """
  builder_class, config = _find_builder(name)
  folder = _folder(name, data_dir)
  builder_class = builder_class.for_folder(folder, config)
  return builder_class.source_files(folder), builder_class.remarks(folder)


def _folder(name: str, data_dir: str) -> user_files.Path:
  """Returns the data directory; a user's own folders must be named.

  Otherwise any folder in which a command starts would be taken for classes.
  """
  if not data_dir and name.partition("/")[0] == "folders":
    raise UserError(
      "The data set folders needs a data directory: the folder of your images.",
      setting="data.dir",
    )
  return user_files.folder(data_dir)


def require_examples(examples: Examples, split: str, name: str) -> None:
  """Raises UserError if a split that is to be used has no images."""
  if not len(examples):
    moved = (
      " (with config.data.train_on_validation they are trained on)"
      if split == "validation"
      else ""
    )
    raise UserError(
      f"The {split} split of {name} has no images{moved}, but some are "
      "needed. Use a "
      "copy of the data set that has the split (a FER2013 file must have rows "
      "with the Usage PublicTest for validation and PrivateTest for test, own "
      "folders validation/ and test/) as the data directory.",
      setting="data.dir",
    )


def _find_builder(name: str) -> tuple[type, str | None]:
  """Returns the builder class and configuration of a data set's name."""
  from pattlite_jax.data.readers.affectnet import AffectNet, AffectNet7
  from pattlite_jax.data.readers.ck_plus import NUM_FOLDS, CkPlus
  from pattlite_jax.data.readers.expw import ExpW
  from pattlite_jax.data.readers.fer2013 import Fer2013
  from pattlite_jax.data.readers.ferplus import FerPlus
  from pattlite_jax.data.readers.folders import NUM_SEEDS, Folders
  from pattlite_jax.data.readers.raf_db import RafDb
  from pattlite_jax.data.readers.sfew import Sfew
  from pattlite_jax.data.readers.synthetic_faces import SyntheticFaces

  builders = {
    "fer2013": (Fer2013, None),
    "ferplus/majority": (FerPlus, "majority"),
    "ferplus/argmax": (FerPlus, "argmax"),
    "raf_db": (RafDb, None),
    "ck_plus": (CkPlus, "fold0"),
    **{f"ck_plus/fold{k}": (CkPlus, f"fold{k}") for k in range(NUM_FOLDS)},
    "affectnet/7": (AffectNet7, "7"),
    "affectnet/8": (AffectNet, "8"),
    "sfew": (Sfew, None),
    "expw": (ExpW, None),
    "folders": (Folders, "seed0"),
    **{f"folders/seed{k}": (Folders, f"seed{k}") for k in range(NUM_SEEDS)},
    "synthetic_faces": (SyntheticFaces, None),
  }
  if name not in builders:
    nearest = difflib.get_close_matches(name.lower(), builders, 1, 0.4)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise UserError(
      f"There is no data set {name!r}.{hint} The data sets are "
      f"{', '.join(builders)}.",
      setting="data.name",
    )
  return builders[name]


@contextlib.contextmanager
def _quiet_tensorflow() -> Iterator[None]:
  """Keeps TensorFlow off accelerators and TFDS from talking."""
  import tensorflow as tf
  import tensorflow_datasets as tfds

  try:
    tf.config.set_visible_devices([], "GPU")
  except RuntimeError:  # TensorFlow runs already, so it cannot be changed.
    if tf.config.get_visible_devices("GPU"):
      raise
  tfds.disable_progress_bar()
  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.WARNING)
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      yield
  finally:
    logging.set_verbosity(verbosity)
