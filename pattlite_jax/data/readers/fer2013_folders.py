"""FER2013 as image folders: train/<class>/*.jpg and test/<class>/*.jpg."""

from collections.abc import Iterable, Iterator

from absl import logging

from pattlite_jax.data import user_files
from pattlite_jax.data.readers import builder
from pattlite_jax.data.readers.held_out import held_out
from pattlite_jax.data.readers.image_file import read_image
from pattlite_jax.runtime.errors import UserError

IMAGE_SHAPE = (48, 48, 1)
LABEL_OF_FOLDER = {
  "angry": 0,
  "disgust": 1,
  "fear": 2,
  "happy": 3,
  "sad": 4,
  "surprise": 5,
  "neutral": 6,
}


def folder_images(
  data_dir: user_files.Path,
) -> Iterator[tuple[str, user_files.Path, int]]:
  """Yields split, path and label of the images of the folder copy."""
  for split in ("train", "test"):
    for folder in sorted(data_dir.glob(f"{split}/[!.]*")):
      if not folder.is_dir():
        continue
      if folder.name not in LABEL_OF_FOLDER:
        raise UserError(
          f"{folder} is not a class of FER2013; the folders of {split}/ must "
          f"be among {sorted(LABEL_OF_FOLDER)}."
        )
      for path in sorted(folder.glob("[!.]*.jpg")):
        yield split, path, LABEL_OF_FOLDER[folder.name]


def folder_faces(
  data_dir: user_files.Path,
) -> dict[str, Iterable[builder.Face]]:
  """Returns the faces of each split; warns that they are not the official ones.

  A tenth of train/ becomes the validation split, by the rule of `held_out`,
  which sees paths such as train/angry/Training_3908.jpg.
  """
  logging.warning(
    "fer2013: the image folders in %s do not have the official splits: their "
    "test/ is PublicTest and PrivateTest together (7,178 images), so its "
    "accuracy is not the published one, and a tenth of train/ is held out for "
    "validation. Use fer2013.csv for the official splits.",
    data_dir,
  )
  images = {"train": {}, "validation": {}, "test": {}}
  for split, path, label in folder_images(data_dir):
    images[split][path.relative_to(data_dir).as_posix()] = label
  for name in sorted(held_out(images["train"])):
    images["validation"][name] = images["train"].pop(name)
  return {split: _faces(data_dir, own) for split, own in images.items()}


def _faces(
  data_dir: user_files.Path, labels: dict[str, int]
) -> Iterator[builder.Face]:
  for name, label in labels.items():
    image = read_image(data_dir / name, channels=1)
    builder.check_shape(image, IMAGE_SHAPE, data_dir / name)
    yield builder.Face(image, label, name)
