"""CK+: the last three frames of each labelled sequence, in ten folds.

Class counts: counted in the CK+48 copy; they are three times the published
numbers of labelled sequences (45, 18, 59, 25, 69, 28, 83).
"""

import collections
import math
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float, UInt8

from pattlite_jax.data import class_names, user_files
from pattlite_jax.data.readers import builder, image_folder, listing
from pattlite_jax.data.readers.image_file import read_image
from pattlite_jax.runtime.errors import UserError

NUM_FOLDS = 10
FRAMES_PER_SEQUENCE = 3
_FRAME = re.compile(r"S\d{3}_\d{3}_\d{8}.*")
CROP_MARGIN = 0.2  # Share of the landmarks' box' longer side, on each side.
NUM_LANDMARKS = 68
CLASS_NAMES = (
  "anger",
  "contempt",
  "disgust",
  "fear",
  "happiness",
  "sadness",
  "surprise",
)
HOW_TO_GET = (
  "Ask the authors for CK+ and unpack cohn-kanade-images, Emotion and "
  "Landmarks into one folder, or use the CK+48 copy."
)


class Frame(NamedTuple):
  """One frame, before it is read."""

  image_path: user_files.Path  # Such as S005_001_00000011.png.
  label: int
  emotion_path: user_files.Path | None  # None in the CK+48 copy.
  landmarks_path: user_files.Path | None  # None: the frame is used whole.


class CkPlus(builder.FaceBuilder, skip_registration=True):
  """CK+ in ten folds by subject: nobody is in two splits."""

  BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
    tfds.core.BuilderConfig(
      name=f"fold{fold}", description=f"Fold {fold} of {NUM_FOLDS} is the test."
    )
    for fold in range(NUM_FOLDS)
  ]
  CLASS_NAMES = CLASS_NAMES
  IMAGE_SHAPE = (None, None, 1)
  HOMEPAGE = "https://www.jeffcohn.net/resources/"
  PUBLISHED_COUNTS: ClassVar[builder.Counts] = {
    "all": (135, 54, 177, 75, 207, 84, 249)
  }

  @classmethod
  def remarks(cls, data_dir: user_files.Path) -> list[str]:
    """Says what of the class folders of the CK+48 copy is not read."""
    folders = listing.root(data_dir, _has_class_folders)
    if listing.root(data_dir, _is_official) or not folders:
      return []
    return listing.unread(folders, cls.source_files(data_dir))

  @classmethod
  def source_files(cls, data_dir: user_files.Path) -> list[user_files.Path]:
    """Returns the used frames with their labels and landmarks."""
    frames = find_frames(data_dir)
    files = {frame.image_path for frame in frames}
    files |= {f.emotion_path for f in frames if f.emotion_path}
    files |= {f.landmarks_path for f in frames if f.landmarks_path}
    return sorted(files)

  def faces(
    self, data_dir: user_files.Path
  ) -> dict[str, Iterable[builder.Face]]:
    """Returns the frames of each split of this fold, ordered by name."""
    frames = find_frames(data_dir)
    fold_of = assign_folds(collections.Counter(map(subject, frames)))
    test_fold = int(self.builder_config.name.removeprefix("fold"))
    validation_fold = (test_fold + 1) % NUM_FOLDS
    split_of_fold = {test_fold: "test", validation_fold: "validation"}
    frames_of = {"train": [], "validation": [], "test": []}
    for frame in frames:
      fold = fold_of[subject(frame)]
      frames_of[split_of_fold.get(fold, "train")].append(frame)
    return {
      split: self.read_faces(split, own, _face)
      for split, own in frames_of.items()
    }


def subject(frame: Frame) -> str:
  """Returns the subject of a frame, such as "S005"."""
  return frame.image_path.name.partition("_")[0]


def assign_folds(images_of_subject: Mapping[str, int]) -> dict[str, int]:
  """Returns the fold of each subject, the same on every machine.

  Subjects with most images come first (equal ones by name); each goes to the
  fold that has fewest images so far, the lowest number of equals.
  """
  sizes = [0] * NUM_FOLDS
  folds = {}
  by_size = sorted(
    images_of_subject.items(), key=lambda item: (-item[1], item[0])
  )
  for name, size in by_size:
    folds[name] = sizes.index(min(sizes))
    sizes[folds[name]] += size
  return folds


def find_frames(data_dir: user_files.Path) -> list[Frame]:
  """Returns the labelled frames, ordered by name."""
  official = listing.root(data_dir, _is_official)
  folders = listing.root(data_dir, _has_class_folders)
  if official:
    frames = list(_official_frames(official))
  else:
    frames = list(_folder_frames(folders)) if folders else []
  if not frames:
    raise builder.missing_set_error(
      "CK+",
      data_dir,
      looked_for="cohn-kanade-images/ and Emotion/, or the class folders of "
      "CK+48",
      how_to_get=HOW_TO_GET,
    )
  return sorted(frames, key=lambda frame: frame.image_path.name)


def _is_official(folder: user_files.Path) -> bool:
  return (folder / "cohn-kanade-images").is_dir()


def _has_class_folders(folder: user_files.Path) -> bool:
  """Whether a folder is like the CK+48 copy: frames in folders of classes."""
  return any(
    class_names.index_in(CLASS_NAMES, path.name) is not None
    for path in listing.folders(folder)
  )


def _official_frames(data_dir: user_files.Path) -> Iterator[Frame]:
  has_landmarks = (data_dir / "Landmarks").is_dir()
  for emotion in sorted(data_dir.glob("Emotion/S*/*/S*_emotion.txt")):
    sequence = emotion.parent.relative_to(data_dir / "Emotion")
    images = data_dir / "cohn-kanade-images" / sequence
    paths = [p for p in image_folder.images(images) if p.name.startswith("S")]
    if len(paths) < FRAMES_PER_SEQUENCE:
      raise UserError(
        f"{images} has {len(paths)} frames, but a labelled sequence has at "
        f"least {FRAMES_PER_SEQUENCE}. {HOW_TO_GET}"
      )
    label = read_label(emotion)
    for path in paths[-FRAMES_PER_SEQUENCE:]:
      landmarks = data_dir / "Landmarks" / sequence
      landmarks /= f"{path.stem}_landmarks.txt"
      if has_landmarks and not landmarks.is_file():
        raise builder.missing_files_error(
          "CK+ landmarks", landmarks, HOW_TO_GET
        )
      yield Frame(path, label, emotion, landmarks if has_landmarks else None)


def _folder_frames(root: user_files.Path) -> Iterator[Frame]:
  own = listing.folders(root)
  class_names.require_distinct((path.name for path in own), str(root))
  for folder in own:
    label = class_names.index_in(CLASS_NAMES, folder.name)
    if label is not None:
      for path in image_folder.images(folder):
        if not _FRAME.fullmatch(path.stem):
          raise UserError(
            f"{path} is not named like S005_001_00000011, so whose face it is "
            "is not known, and the folds are by subject. Use a copy with the "
            "original names.",
            setting="data.dir",
          )
        yield Frame(path, label, None, None)


def read_label(path: user_files.Path) -> int:
  """Reads a label such as "3.0000000e+00"; the file counts from 1."""
  text = user_files.read_text(path).strip()
  try:
    label = float(text)
  except ValueError:
    label = math.nan
  if label not in range(1, len(CLASS_NAMES) + 1):
    raise UserError(f"{path} holds {reprlib.repr(text)}, but must hold 1 to 7.")
  return int(label) - 1


def _face(frame: Frame) -> builder.Face:
  image = read_image(frame.image_path, channels=1)
  if frame.landmarks_path:
    image = crop_square(image, read_landmarks(frame.landmarks_path))
  return builder.Face(image, frame.label, frame.image_path.stem)


def read_landmarks(path: user_files.Path) -> Float[np.ndarray, "68 2"]:
  """Reads the landmarks (x, y) in pixels."""
  try:
    with user_files.open_text(path) as file:
      points = np.loadtxt(file, ndmin=2)
  except (OSError, ValueError) as error:
    raise UserError(
      f"{path} cannot be read as landmarks ({error}). {HOW_TO_GET} Without "
      "the folder Landmarks the frames are used whole."
    ) from error
  # Written so that nan is refused too.
  if points.shape != (NUM_LANDMARKS, 2) or not (np.abs(points) < 1e5).all():
    raise UserError(
      f"{path} holds numbers of shape {points.shape}, but must hold "
      f"{NUM_LANDMARKS} rows of x and y in pixels."
    )
  return points


def crop_square(
  image: UInt8[np.ndarray, "H W 1"], points: Float[np.ndarray, "N 2"]
) -> UInt8[np.ndarray, "S S 1"]:
  """Cuts out the square around the landmarks, `CROP_MARGIN` wider each side.

  The square is moved into the picture where it sticks out, and is as large as
  the picture's shorter side at most. Pixels are not resampled.
  """
  low, high = points.min(axis=0), points.max(axis=0)
  height, width, _ = image.shape
  side = round(float((high - low).max()) * (1 + 2 * CROP_MARGIN))
  side = max(1, min(side, height, width))
  left, top = np.rint((low + high) / 2 - side / 2).astype(int)
  left = min(max(left, 0), width - side)
  top = min(max(top, 0), height - side)
  return image[top : top + side, left : left + side]
