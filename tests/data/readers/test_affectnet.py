"""AffectNet in its two layouts, as small files."""

import numpy as np
import PIL.Image
import pytest

from pattlite_jax.data import load
from pattlite_jax.data.readers import affectnet
from pattlite_jax.data.readers.affectnet import AffectNet, AffectNet7
from pattlite_jax.runtime.errors import UserError


def picture(path, value, size=(8, 8)):
  path.parent.mkdir(parents=True, exist_ok=True)
  PIL.Image.new("RGB", size, (value, 0, 0)).save(path, "png")


def write_official(folder, train=(0, 1, 7, 6), test=(1, 7)):
  """Writes images whose red is their number, with labels as text."""
  for split, labels in (("train_set", train), ("val_set", test)):
    notes = folder / split / "annotations"
    notes.mkdir(parents=True)
    for number, label in enumerate(labels):
      picture(folder / split / "images" / f"{number}.jpg", number)
      np.save(notes / f"{number}_exp.npy", np.array(str(label)))
      np.save(notes / f"{number}_val.npy", np.array("0.5"))
      np.save(notes / f"{number}_aro.npy", np.array("-2"))
      np.save(notes / f"{number}_lnd.npy", np.zeros(136))


def labels(splits):
  return {k: {e.id: e.label for e in own} for k, own in splits.items()}


def test_the_official_layout(tmp_path):
  write_official(tmp_path / "AffectNet")
  assert labels(AffectNet.entries(tmp_path)) == {
    "train": {f"train_set/{k}.jpg": v for k, v in enumerate((0, 1, 7, 6))},
    "validation": {},
    "test": {"val_set/0.jpg": 1, "val_set/1.jpg": 7},
  }
  seven = labels(AffectNet7.entries(tmp_path))
  assert seven["train"] == {
    "train_set/0.jpg": 0,
    "train_set/1.jpg": 1,
    "train_set/3.jpg": 6,
  }
  assert seven["test"] == {"val_set/0.jpg": 1}
  names = [path.name for path in AffectNet.source_files(tmp_path)]
  assert len(names) == 12 and not any("aro" in name for name in names)


def test_a_tenth_of_train_is_held_out(tmp_path):
  write_official(tmp_path, train=[0] * 20 + [1] * 10)
  splits = AffectNet.entries(tmp_path)
  assert len(splits["train"]) == 27
  assert sorted(e.label for e in splits["validation"]) == [0, 0, 1]


def test_it_is_loaded_in_the_size_that_is_asked_for(tmp_path):
  write_official(tmp_path / "set")
  splits = load.load_splits(
    "affectnet/8",
    data_dir=str(tmp_path / "set"),
    prepared_dir=str(tmp_path / "prepared"),
    image_size=4,
  )
  assert splits["train"].images.shape == (4, 4, 4, 3)
  assert splits["train"].images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
  assert splits["train"].class_names[7] == "contempt"
  with pytest.raises(UserError, match="affectnet/8"):
    load.load_splits("affectnet", data_dir="", prepared_dir="", image_size=4)


HEADER = (
  "subDirectory_filePath,face_x,face_y,face_width,face_height,"
  "facial_landmarks,expression,valence,arousal"
)


def write_lists(folder, *rows):
  root = folder / "Manually_Annotated"
  images = root / "Manually_Annotated_Images"
  picture(images / "1/a.jpg", 5, (20, 10))
  picture(images / "2/b.JPG", 6)
  (root / "Manually_Annotated_file_lists").mkdir(exist_ok=True)
  rows = rows or ("1/a.jpg,2,1,5,4,0;0,3,0.1,0.2",)
  text = "\n".join([HEADER, *rows, "3/none.jpg,NULL,NULL,NULL,NULL,,10,-2,-2"])
  path = root / "Manually_Annotated_file_lists/training.csv"
  path.write_text(text)
  path.with_name("validation.csv").write_text(
    f"{HEADER}\n2/b.JPG,0,0,8,8,0;0,7,0,0\n"
  )


def test_the_older_layout_cuts_out_the_face(tmp_path):
  write_lists(tmp_path)
  splits = AffectNet.entries(tmp_path)
  assert labels(splits) == {
    "train": {"1/a.jpg": 3},
    "validation": {},
    "test": {"2/b.JPG": 7},
  }
  face = AffectNet.read(splits["train"][0])
  assert face.shape == (4, 5, 3) and (face[..., 0] == 5).all()
  assert labels(AffectNet7.entries(tmp_path))["test"] == {}
  names = [path.name for path in AffectNet.source_files(tmp_path)]
  assert names == ["training.csv", "validation.csv", "a.jpg", "b.JPG"]


@pytest.mark.parametrize(
  ("row", "message"),
  [
    ("1/a.jpg,0,0,4,4,0,11,0,0", "line 2: expression is '11'"),
    ("1/a.jpg,0,x,4,4,0,1,0,0", "line 2: the face's box"),
    ("../a.jpg,0,0,4,4,0,1,0,0", "line 2: the path '../a.jpg' must"),
    ("1/c.jpg,0,0,4,4,0,1,0,0", "line 2: there is no file"),
  ],
)
def test_broken_rows_are_named(tmp_path, row, message):
  write_lists(tmp_path, row)
  with pytest.raises(ValueError, match=message):
    AffectNet.entries(tmp_path)


@pytest.mark.parametrize(
  ("content", "message"),
  [
    (np.array("8"), "holds '8', but must"),
    (np.array("1.5"), "holds '1.5'"),
    (np.zeros(2), "cannot be read"),
    (np.array([3]), None),  # One number is one, whatever its shape.
    (np.array(3.0), "holds '3.0'"),
  ],
)
def test_labels_are_whole_numbers(tmp_path, content, message):
  path = tmp_path / "1_exp.npy"
  np.save(path, content)
  if message is None:
    assert affectnet.read_label(path) == 3
    return
  with pytest.raises(UserError, match=message):
    affectnet.read_label(path)


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY\1\0v\0{'descr'"])
def test_a_damaged_label_is_named(tmp_path, content):
  path = tmp_path / "1_exp.npy"
  path.write_bytes(content)
  with pytest.raises(UserError, match=r"1_exp\.npy cannot be read") as error:
    affectnet.read_label(path)
  assert "\n" not in str(error.value)


def test_no_pickle_is_opened(tmp_path):
  path = tmp_path / "1_exp.npy"
  np.save(path, np.array({"a": 1}, object), allow_pickle=True)
  with pytest.raises(UserError, match="cannot be read as a label"):
    affectnet.read_label(path)


def test_a_missing_label_is_named(tmp_path):
  write_official(tmp_path)
  (tmp_path / "train_set/annotations/2_exp.npy").unlink()
  with pytest.raises(FileNotFoundError, match=r"2_exp\.npy"):
    AffectNet.entries(tmp_path)


def test_missing_files_say_where_to_get_them(tmp_path):
  with pytest.raises(
    FileNotFoundError, match=r"mohammadmahoor.*data directory"
  ):
    AffectNet.source_files(tmp_path)


def test_published_counts_add_up():
  assert sum(affectnet.TRAIN_COUNTS) == 287651
  assert sum(affectnet.TRAIN_COUNTS[:7]) == 283901
  for builder, test in ((AffectNet, 3999), (AffectNet7, 3500)):
    counts = builder.PUBLISHED_COUNTS
    assert sum(counts["test"]) == test
    assert (
      tuple(
        a + b
        for a, b in zip(counts["train"], counts["validation"], strict=True)
      )
      == affectnet.TRAIN_COUNTS[: len(builder.CLASS_NAMES)]
    )
