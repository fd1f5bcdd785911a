"""FER2013 as image folders: train/<class>/*, test/<class>/*.

Some copies have validation/ too, or in place of test/.
"""

from collections.abc import Callable, Iterable, Iterator

from absl import logging

from pattlite_jax.data import class_names, user_files
from pattlite_jax.data.readers import builder, image_folder, listing
from pattlite_jax.data.readers.held_out import held_out
from pattlite_jax.data.readers.image_file import read_image
from pattlite_jax.runtime.errors import UserError

IMAGE_SHAPE = (48, 48, 1)
CLASS_FOLDERS = (  # By label; synonyms, such as happiness, will do.
  "angry",
  "disgust",
  "fear",
  "happy",
  "sad",
  "surprise",
  "neutral",
)
FOLDERS_OF_SPLIT = {
  "train": ("train", "training"),
  "validation": ("validation", "val", "valid"),
  "test": ("test", "testing"),
}


def find(data_dir: user_files.Path) -> user_files.Path | None:
  """Returns the folder that holds train/, here or one folder below."""
  return listing.root(data_dir, _is_root)


def _is_root(folder: user_files.Path) -> bool:
  train = listing.child(folder, FOLDERS_OF_SPLIT["train"])
  if not train or not train.is_dir():
    return False
  return any(_label(path) is not None for path in listing.folders(train))


def _label(folder: user_files.Path) -> int | None:
  return class_names.index_in(CLASS_FOLDERS, folder.name)


def too_deep(data_dir: user_files.Path) -> str:
  """Says so where a folder is train/ itself, in place of the one above."""
  own = [p for p in listing.folders(data_dir) if _label(p) is not None]
  if len(own) < 2:
    return ""
  return (
    f"These are class folders; pass the folder above them, {data_dir.parent}, "
    "if it holds train/ and test/."
  )


def folder_images(
  root: user_files.Path,
) -> Iterator[tuple[str, user_files.Path, int]]:
  """Yields split, path and label of the images of the folder copy."""
  for split, names in FOLDERS_OF_SPLIT.items():
    place = listing.child(root, names)
    if not place:
      continue
    own = listing.folders(place)
    class_names.require_distinct((p.name for p in own), str(place))
    for folder in own:
      label = _label(folder)
      if label is None:
        raise UserError(
          f"{folder} is not a class of FER2013; the folders of {place.name}/ "
          f"must be among {sorted(CLASS_FOLDERS)}."
        )
      for path in image_folder.images(folder):
        yield split, path, label


def folder_faces(
  root: user_files.Path,
  read_faces: Callable[..., Iterable[builder.Face]],
) -> dict[str, Iterable[builder.Face]]:
  """Returns the faces of each split; warns that they are not the official ones.

  `read_faces` is that of the builder.

  Without validation/, a tenth of train/ becomes that split, by the rule of
  `held_out`, which sees paths such as train/angry/Training_3908.jpg.
  """
  images = {"train": {}, "validation": {}, "test": {}}
  for split, path, label in folder_images(root):
    images[split][path.relative_to(root).as_posix()] = label
  held = "" if images["validation"] else _HELD_OUT
  logging.warning(
    "fer2013: the image folders in %s do not have the official splits: what "
    "they hold out is PublicTest and PrivateTest together (7,178 images), so "
    "its accuracy is not the published one%s. Use fer2013.csv for the official "
    "splits.",
    root,
    held,
  )
  if held:
    for name in sorted(held_out(images["train"])):
      images["validation"][name] = images["train"].pop(name)

  def face(named: tuple[str, int]) -> builder.Face:
    name, label = named
    image = read_image(root / name, channels=1)
    builder.check_shape(image, IMAGE_SHAPE, root / name)
    return builder.Face(image, label, name)

  return {
    split: read_faces(split, own.items(), face) for split, own in images.items()
  }


_HELD_OUT = ", and a tenth of train/ is held out for validation"
