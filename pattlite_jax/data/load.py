"""Loads a data set by name: prepares it once with TFDS, reads it to memory.

TensorFlow and the builders are imported only when a data set is loaded.
"""

import contextlib
import dataclasses
import difflib
import io
import os
from collections.abc import Iterator, Mapping

import numpy as np
from absl import logging
from jaxtyping import UInt8

from pattlite_jax.data import (
  examples_check,
  prepared,
  prepared_copy,
  user_files,
)
from pattlite_jax.data.examples import Examples, class_counts
from pattlite_jax.data.examples_check import SPLITS
from pattlite_jax.runtime import durable
from pattlite_jax.runtime.errors import FileError, UserError

_READ_BATCH = 1024  # Images that are decoded and copied together.


def load_splits(
  name: str,
  *,
  data_dir: str,
  prepared_dir: str,
  image_size: int,
  download: bool = False,
  soft_targets: bool = False,
) -> dict[str, Examples]:
  """Returns train, validation and test of a data set; some may be empty.

  The set is prepared once below `prepared_dir`, and again when its files in
  `data_dir` change. Images keep their native size; if they differ in size
  within the set (CK+), all become `image_size` x `image_size`. With
  `soft_targets` they have the targets of the set.

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
  if builder_class.SHRINKS:
    target += f"-{image_size}"
  logging.info("Data set %s of %s, prepared in %s.", name, folder, target)
  with _quiet_tensorflow():
    with prepared_copy.errors_about(name, target):
      prepared_copy.require_plain(target)
      builder = builder_class(data_dir=target, config=config)
    was_prepared = builder.data_path.exists()
    if not was_prepared:
      builder.files_dir, builder.image_size = folder, image_size
      builder = _prepare(builder)
    with prepared_copy.errors_about(name, str(builder.data_path)):
      prepared_copy.require_whole(str(builder.data_path))
      splits = _read(builder, image_size)
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
    raise UserError(
      f"The {split} split of {name} has no images, but some are needed. Use a "
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


def _prepare(builder):
  """Writes the set; returns a builder of it.

  TFDS writes to a folder of another name and renames it at the end, so what
  is found under the final name is whole.
  """
  import tensorflow_datasets as tfds

  options = tfds.download.DownloadConfig(try_download_gcs=False)
  with prepared.made_alone(builder.data_path):
    try:
      if not builder.data_path.exists():  # Another process has made it.
        builder.download_and_prepare(download_config=options)
    except OSError:
      # Or made it meanwhile, where there are no locks.
      if not builder.data_path.exists():
        raise
  durable.sync_tree(builder.data_path)
  return type(builder)(
    data_dir=builder.data_dir_root, config=builder.builder_config
  )


def _read(builder, image_size: int) -> dict[str, Examples]:
  """Reads all splits of a prepared copy, and checks what they hold."""
  if None in builder.info.features["image"].shape:
    splits = _read_and_resize(builder, image_size)
  else:
    splits = {split: _read_batched(builder, split) for split in SPLITS}
  examples_check.check_alike(splits, "it")
  return splits


def _read_batched(builder, split: str) -> Examples:
  """Reads a split whose images all have the size that the builder states."""
  height, width, channels = builder.info.features["image"].shape
  images = [np.zeros((0, height, width, channels), np.uint8)]
  targets = [np.zeros((0, len(builder.CLASS_NAMES)), np.float32)]
  labels, ids = [], []
  for batch in _numpy_iterator(builder, split, batch_size=_READ_BATCH):
    images.append(batch["image"])
    labels.extend(batch["label"])
    ids.extend(batch["id"])
    if builder.HAS_TARGETS:
      targets.append(batch["targets"])
  return _examples(
    builder,
    split,
    np.concatenate(images),
    labels,
    ids,
    np.concatenate(targets) if builder.HAS_TARGETS else None,
  )


def _read_and_resize(builder, image_size: int) -> dict[str, Examples]:
  """Reads all splits; resizes if the images are not all of one size."""
  raw = {
    split: list(_numpy_iterator(builder, split, batch_size=None))
    for split in SPLITS
  }
  shapes = {row["image"].shape for rows in raw.values() for row in rows}
  channels = builder.info.features["image"].shape[-1]
  if len(shapes) == 1:
    shape = shapes.pop()
  else:
    shape = (image_size, image_size, channels)
  splits = {}
  for split, rows in raw.items():
    images = np.zeros((len(rows), *shape), np.uint8)
    for index, row in enumerate(rows):
      images[index] = _resize(row["image"], shape[:2])
    labels, ids = [row["label"] for row in rows], [row["id"] for row in rows]
    splits[split] = _examples(builder, split, images, labels, ids, None)
  if builder.MAY_BE_GREY and not any(map(_has_colour, splits.values())):
    return {
      split: dataclasses.replace(own, images=own.images[..., :1].copy())
      for split, own in splits.items()
    }
  return splits


def _has_colour(examples: Examples) -> bool:
  return any((image != image[..., :1]).any() for image in examples.images)


def _resize(
  image: UInt8[np.ndarray, "H W C"], size: tuple[int, int]
) -> UInt8[np.ndarray, "h w C"]:
  import tensorflow as tf

  if image.shape[:2] == size:
    return image
  resized = tf.image.resize(image, size, method="bilinear", antialias=True)
  return np.clip(np.rint(resized.numpy()), 0, 255).astype(np.uint8)


def _numpy_iterator(builder, split: str, *, batch_size: int | None):
  """Yields the examples, or batches of them, in the order of the files.

  Raises:
    FileError: if records are damaged or missing.
  """
  import tensorflow as tf
  import tensorflow_datasets as tfds

  if split not in builder.info.splits:  # It was empty, so TFDS has none.
    return
  dataset = builder.as_dataset(
    split=split, read_config=tfds.ReadConfig(try_autocache=False)
  )
  if batch_size:
    dataset = dataset.batch(batch_size)
  try:  # TFDS checks the number of records, TFRecord files their bytes.
    yield from dataset.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()
  except tf.errors.OpError as error:
    reason = error.message.rpartition("}} ")[2].partition(" [Op:")[0]
    raise FileError(
      f"The prepared copy of {builder.name} in {builder.data_path} is damaged "
      f"({split}: {reason}). Delete that folder; the next start makes it again."
    ) from error


def _examples(
  builder,
  split: str,
  images: UInt8[np.ndarray, "N H W C"],
  labels: list,
  ids: list,
  targets: np.ndarray | None,
) -> Examples:
  return examples_check.checked(
    images,
    np.array(labels, np.int64),
    np.array([face_id.decode() for face_id in ids], dtype=str),
    builder.CLASS_NAMES,
    targets,
    f"{split}:",
  )
