"""What the TFDS builders of all face data sets share."""

import abc
import collections
import concurrent.futures
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from jaxtyping import Float32, UInt8

from pattlite_jax.data import image_progress, user_files
from pattlite_jax.data.examples import Examples
from pattlite_jax.data.prepared_read import SKIPPED
from pattlite_jax.data.readers import listing
from pattlite_jax.data.readers.image_file import BadImageError
from pattlite_jax.runtime.errors import MissingFileError, UserError

_AHEAD = 64  # Pictures that are read while others are written.

# Class counts of a split. The split "all" stands for all splits together.
Counts = Mapping[str, tuple[int, ...]]


class Face(NamedTuple):
  """One labelled face at its native size."""

  image: UInt8[np.ndarray, "H W C"]  # C is 1 (grey) or 3 (RGB).
  label: int  # An index into the builder's CLASS_NAMES.
  id: str
  # Shares of the classes, of sets that HAVE_TARGETS.
  targets: Float32[np.ndarray, "K"] | None = None
  jpeg: bytes | None = None  # A file of the very same pixels, which is kept.


_Entry = TypeVar("_Entry")


class FaceBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """A data set of faces with the splits train, validation and test.

  Subclasses set the constants and write `source_files` and `faces`. The
  examples keep the order in which `faces` yields them. Whoever prepares the set
  gives the builder `files_dir`, `image_size` and `skip_bad` before.
  """

  VERSION = tfds.core.Version("1.0.0")
  CLASS_NAMES: ClassVar[tuple[str, ...]]
  # Height, width, channels; None where the images differ in size.
  IMAGE_SHAPE: ClassVar[tuple[int | None, int | None, int]]
  HOMEPAGE: ClassVar[str]
  HAS_TARGETS: ClassVar[bool] = False  # Whether its faces have `targets`.
  PUBLISHED_COUNTS: ClassVar[Counts] = {}  # Empty: there is none to compare.
  # Whether its images are of any size and shape: they are filled up to squares,
  # and those that exceed `image_size` are prepared in it.
  ANY_SIZE: ClassVar[bool] = False
  # Whether a set whose pixels have no colour at all is read as grey.
  MAY_BE_GREY: ClassVar[bool] = False

  files_dir: user_files.Path  # Where the files lie.
  image_size: int  # Pixels a side of images of mixed sizes.
  skip_bad: bool = False  # Whether pictures that cannot be read are left out.

  @classmethod
  def for_folder(
    cls, data_dir: user_files.Path, config: str | None
  ) -> "type[FaceBuilder]":
    """Returns the builder of the files in a folder: itself, for most sets.

    Another one where the class names depend on the files; `config` is the name
    of the configuration.

    Raises:
      UserError: as `source_files`.
    """
    return cls

  @classmethod
  @abc.abstractmethod
  def source_files(cls, data_dir: user_files.Path) -> list[user_files.Path]:
    """Returns the files that the set is made of; they must lie in `data_dir`.

    Raises:
      MissingFileError: if they are not there; says where to get them.
    """

  @classmethod
  def remarks(cls, data_dir: user_files.Path) -> list[str]:
    """Returns what a user should know of the files, a line for each thing."""
    return []

  def remarks_on(self, splits: Mapping[str, Examples]) -> list[str]:
    """Returns what a user should know of the images, as `remarks` does."""
    return []

  @abc.abstractmethod
  def faces(self, data_dir: user_files.Path) -> dict[str, Iterable[Face]]:
    """Returns the faces of each split, in their official order."""

  def read_faces(
    self,
    split: str,
    entries: Iterable[_Entry],
    read: Callable[[_Entry], Face],
  ) -> Iterator[Face]:
    """Yields the face of each entry, in their order, read by several threads.

    Raises:
      BadImageError: for a picture that cannot be read, unless it is to be left
        out: then it is noted.
    """
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
      tasks = (pool.submit(read, entry) for entry in entries)
      ahead = collections.deque(itertools.islice(tasks, _AHEAD))
      while ahead:
        face = ahead.popleft()
        ahead.extend(itertools.islice(tasks, 1))
        try:
          yield face.result()
        except BadImageError as error:
          if not self.skip_bad:
            raise BadImageError(
              f"{error} Or leave out what cannot be read.",
              setting="data.on_bad_image",
            ) from error
          self._skipped.setdefault(split, []).append(str(error))

  def published_counts(self) -> Counts:
    """Returns the published class counts of this configuration."""
    return self.PUBLISHED_COUNTS

  def log_count_differences(self, seen: Counts) -> None:
    """Warns if the class counts are not the published ones."""
    lines = count_differences(seen, self.published_counts(), self.CLASS_NAMES)
    if lines:
      logging.warning(
        "%s differs from the published set:\n  %s",
        self.info.full_name,
        "\n  ".join(lines),
      )

  def _info(self) -> tfds.core.DatasetInfo:
    features: dict[str, tfds.features.FeatureConnector] = {
      "image": tfds.features.Image(
        shape=self.IMAGE_SHAPE, dtype=np.uint8, encoding_format="png"
      ),
      "label": tfds.features.ClassLabel(names=list(self.CLASS_NAMES)),
      "id": tfds.features.Text(),
    }
    if self.HAS_TARGETS:
      features["targets"] = tfds.features.Tensor(
        shape=(len(self.CLASS_NAMES),), dtype=np.float32
      )
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(features),
      homepage=self.HOMEPAGE,
      disable_shuffling=True,
    )

  def _download_and_prepare(self, *args, **kwargs) -> None:
    self._seen = collections.defaultdict(collections.Counter)
    self._skipped: dict[str, list[str]] = {}
    super()._download_and_prepare(*args, **kwargs)
    if self._skipped:  # In the folder that is not renamed yet.
      (self.data_path / SKIPPED).write_text(json.dumps(self._skipped, indent=1))
    self.log_count_differences(
      {
        split: tuple(counts[k] for k in range(len(self.CLASS_NAMES)))
        for split, counts in self._seen.items()
      }
    )

  def _split_generators(
    self, dl_manager: tfds.download.DownloadManager
  ) -> dict[str, Iterator[tuple[int, dict[str, object]]]]:
    generators = {}
    for split, faces in self.faces(self.files_dir).items():
      remaining = iter(faces)
      first = next(remaining, None)
      if first is None:  # TFDS cannot write an empty split.
        logging.warning("%s has no images in its %s split.", self.name, split)
        continue
      generators[split] = self._generate_examples(
        split, itertools.chain([first], remaining)
      )
    if not generators:
      raise UserError(
        f"{self.name}: no images in {self.files_dir}. The data directory must "
        "be the folder of the data set.",
        setting="data.dir",
      )
    return generators

  def _generate_examples(
    self, split: str, faces: Iterable[Face]
  ) -> Iterator[tuple[int, dict[str, object]]]:
    done = f"of the {split} split prepared"
    for index, face in enumerate(image_progress.shown(faces, done)):
      self._seen[split][face.label] += 1
      row: dict[str, object] = {
        "image": face.jpeg or face.image,
        "label": face.label,
        "id": face.id,
      }
      if self.HAS_TARGETS:
        row["targets"] = face.targets
      yield index, row


def count_differences(
  seen: Counts, published: Counts, class_names: tuple[str, ...]
) -> list[str]:
  """Returns one line for each class count that is not the published one."""
  zeros = (0,) * len(class_names)
  totals = tuple(map(sum, zip(*seen.values(), strict=True))) or zeros
  lines = []
  for split, expected in published.items():
    counts = totals if split == "all" else seen.get(split, zeros)
    if sum(counts) == 0 < sum(expected):
      lines.append(f"{split}: no images seen, {sum(expected):,} expected")
      continue
    lines += [
      f"{split}, {name}: {have:,} images seen, {want:,} expected"
      for name, have, want in zip(class_names, counts, expected, strict=True)
      if have != want
    ]
  return lines


def check_shape(
  image: UInt8[np.ndarray, "H W C"],
  expected: tuple[int, int, int],
  path: user_files.Path,
) -> None:
  """Raises UserError unless the picture has the size of its data set."""
  if image.shape != expected:
    height, width, _ = expected
    raise UserError(
      f"{path} is {image.shape[0]} x {image.shape[1]} pixels, but the data set "
      f"has {height} x {width}. The data directory must hold the original "
      "copy of the data.",
      setting="data.dir",
    )


def missing_files_error(
  set_name: str, where: user_files.Path | str, how_to_get: str
) -> MissingFileError:
  """Returns the error for a file of a data set that is not where it should be.

  `missing_set_error` is that for a whole set.
  """
  return MissingFileError(
    f"No {set_name} at {where}. {how_to_get} Its folder is the data directory.",
    setting="data.dir",
  )


def missing_set_error(
  set_name: str,
  data_dir: user_files.Path,
  *,
  looked_for: str,
  how_to_get: str,
  remedy: str = "",
) -> MissingFileError:
  """Returns the error for a data set that is not in a folder: what is there?"""
  remedy = f" {remedy}" if remedy else ""
  return missing_files_error(
    set_name,
    f"{data_dir} ({looked_for})",
    f"{listing.describe(data_dir)}{remedy} {how_to_get}",
  )
