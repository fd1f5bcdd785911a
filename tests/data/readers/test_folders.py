"""Own folders, as people lay them out."""

import collections
import logging
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from pattlite_jax.data import load, user_files
from pattlite_jax.data.readers import folders, image_file, own_folders
from pattlite_jax.runtime.errors import UserError


def picture(path, value=0, size=(8, 8), mode="L", kind="png"):
  path.parent.mkdir(parents=True, exist_ok=True)
  PIL.Image.new(mode, size, value).save(path, kind)


def touch(folder, *names):
  for name in names:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()


def ids(data_dir, seed="seed0"):
  """Returns {split: {id: class}} without reading an image."""
  own = folders.Folders.for_folder(data_dir, seed)
  return {
    split: {e.id: own.CLASS_NAMES[e.label] for e in entries}
    for split, entries in own.entries(data_dir).items()
  }


def remarks(data_dir):
  return folders.Folders.for_folder(data_dir, None).remarks(data_dir)


def test_splits_as_folders(tmp_path):
  touch(
    tmp_path,
    "Train/happy/a.jpg",
    "Train/sad/b.PNG",
    "val/Happiness/c.webp",
    "val/sad/d.jpeg",
    "test/sad/e.bmp",
    "__MACOSX/train/happy/._a.jpg",
    "Train/.DS_Store",
    "Train/happy/Thumbs.db",
  )
  assert ids(tmp_path) == {
    "train": {"Train/happy/a.jpg": "happy", "Train/sad/b.PNG": "sad"},
    "validation": {"val/Happiness/c.webp": "happy", "val/sad/d.jpeg": "sad"},
    "test": {"test/sad/e.bmp": "sad"},
  }
  assert ids(tmp_path.parent / tmp_path.name) == ids(tmp_path)
  lines = remarks(tmp_path)
  assert lines == [
    "the class happy has no image in test.",
  ]


def test_a_folder_may_lie_one_deeper(tmp_path):
  touch(tmp_path / "mine", "train/a/1.jpg", "train/b/1.jpg", "val/a/2.jpg")
  touch(tmp_path, "other/x.txt")
  assert ids(tmp_path) == ids(tmp_path / "mine")
  touch(tmp_path / "classes/deeper", "a/1.jpg", "b/1.jpg")
  deeper = ids(tmp_path / "classes")
  assert deeper == ids(tmp_path / "classes/deeper")


def names(prefix, number, persons=None):
  return [
    f"{prefix}/{'' if persons is None else f'P{k % persons:02d}_'}{k:03d}.jpg"
    for k in range(number)
  ]


def test_a_validation_split_is_taken_out_of_train(tmp_path):
  touch(tmp_path, *names("train/a", 40), *names("train/b", 20), "test/a/1.jpg")
  splits = ids(tmp_path)
  counts = {k: collections.Counter(v.values()) for k, v in splits.items()}
  assert counts["validation"] == {"a": 6, "b": 3}
  assert counts["train"] == {"a": 34, "b": 17}
  assert list(splits["test"]) == ["test/a/1.jpg"]
  (line, *_) = remarks(tmp_path)
  assert "15 % of the train split" in line and "groups.csv can" in line


def test_splits_are_told_by_their_names_beside_other_folders(tmp_path):
  touch(tmp_path, "training/a/1.jpg", "testing/a/2.jpg", "training/b/3.jpg")
  touch(tmp_path, "notes/x.txt")
  splits = ids(tmp_path)
  assert list(splits["test"]) == ["testing/a/2.jpg"]
  assert len(splits["train"]) + len(splits["validation"]) == 2
  # One alone may be the name of a class.
  touch(tmp_path / "classes", "test/1.jpg", "calm/2.jpg", "tense/3.jpg")
  own = folders.Folders.for_folder(tmp_path / "classes", "seed0")
  assert set(own.CLASS_NAMES) == {"calm", "tense", "test"}


def test_what_can_only_be_tested_makes_no_validation_split(tmp_path):
  touch(tmp_path, "test/a/1.jpg", "test/b/2.jpg")
  assert not [line for line in remarks(tmp_path) if "15 %" in line]


def test_classes_without_splits_are_split_by_person(tmp_path):
  touch(tmp_path, *names("a", 60, 20), *names("b", 60, 20))
  splits = ids(tmp_path)
  persons = {
    split: {name.split("/")[1].split("_")[0] for name in own}
    for split, own in splits.items()
  }
  assert sum(map(len, persons.values())) == 20  # Nobody is in two.
  assert {k: len(v) for k, v in splits.items()} == {
    "train": 84,
    "validation": 18,
    "test": 18,
  }
  assert splits != ids(tmp_path, "seed1")
  (line,) = remarks(tmp_path)
  assert line.startswith(
    "there are no splits"
  ) and "20 groups, such as P00" in (line)


@pytest.mark.parametrize(
  ("name", "group"),
  [
    ("S005_001_00000011.png", "S005"),
    ("person12_smile.jpg", "person12"),
    ("train_00001_aligned.jpg", None),
    ("00001.jpg", None),
    ("IMG_20200101.jpg", None),
    ("7_.jpg", None),
    ("20240131_120501.jpg", None),
    ("00012_3.jpg", "00012"),
  ],
)
def test_what_a_name_says_of_who_is_in_it(tmp_path, name, group):
  assert own_folders.group_of_name(tmp_path / name) == group


def test_folders_in_classes_and_groups_csv_are_groups(tmp_path):
  touch(tmp_path, "a/anna/1.jpg", "a/ben/2.jpg", "b/anna/3.jpg", "b/S1_4.jpg")
  layout = own_folders.read(tmp_path)
  assert {p.path.name: p.group for p in layout.pictures} == {
    "1.jpg": "anna",
    "2.jpg": "ben",
    "3.jpg": "anna",
    "S1_4.jpg": None,
  }
  (tmp_path / "groups.csv").write_text("path,group\na/ben/2.jpg,carl\n")
  layout = own_folders.read(tmp_path)
  assert {p.group for p in layout.pictures} == {"anna", "carl", None}
  own = folders.Folders.for_folder(tmp_path, None)
  assert own.source_files(tmp_path)[0].name == "groups.csv"


def test_people_in_two_given_splits_are_told(tmp_path):
  for split, number in (("train", 1), ("val", 2)):
    touch(tmp_path, f"{split}/a/anna/{number}.jpg", f"{split}/b/{number}.jpg")
  (line,) = remarks(tmp_path)
  assert line.startswith("1 groups (persons or videos) are in several splits")


def test_people_in_two_given_splits_are_known_by_their_files_names_too(
  tmp_path,
):
  for split, number in (("train", 0), ("val", 1), ("test", 2)):
    touch(tmp_path, f"{split}/a/S00_{number}.jpg", f"{split}/b/{number}.jpg")
  (line,) = remarks(tmp_path)
  assert line.startswith("1 groups (persons or videos) are in several splits")
  assert "S00" in line


def test_a_list_without_commas_is_called_so(tmp_path):
  write_labels(tmp_path, "path;label\nx/1.jpg;a\n")
  with pytest.raises(UserError, match=r"no list with commas.*Save it as CSV"):
    remarks(tmp_path)


def test_a_picture_that_is_too_large_has_no_second_word(tmp_path):
  code = (
    "import pathlib, sys, PIL.Image as P\n"
    "from pattlite_jax.data.readers import image_file\n"
    "P.new('1', (10_000, 9_500)).save(sys.argv[1])\n"
    "try: image_file.read_image(pathlib.Path(sys.argv[1]), 1)\n"
    "except image_file.BadImageError: print('refused')\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code, str(tmp_path / "a.png")],
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert (done.stdout, done.stderr) == ("refused\n", "")


def test_a_link_to_nowhere_can_be_left_out(tmp_path):
  touch(tmp_path, "a/1.jpg", "b/1.jpg")
  (tmp_path / "a/2.jpg").symlink_to(tmp_path / "gone.jpg")
  files = [tmp_path / "a/1.jpg", tmp_path / "a/2.jpg"]
  assert user_files.fingerprint(tmp_path, files)
  with pytest.raises(image_file.BadImageError, match="it is a link to no file"):
    image_file.read_image(files[1], 3)


def write_labels(folder, text):
  touch(folder, "x/1.jpg", "x/2.jpg", "3.jpg", "4.jpg", "unlisted.jpg")
  (folder / "labels.csv").write_text(text)


def test_a_list_of_labels(tmp_path):
  write_labels(
    tmp_path,
    "Path,Label,Split,Group\nx/1.jpg,10,train,p\nx\\2.jpg,9,train,p\n"
    "./3.jpg,9,val,q\n4.jpg,10,test,\n",
  )
  expected = {
    "train": {"x/1.jpg": "10", "x/2.jpg": "9"},
    "validation": {"3.jpg": "9"},
    "test": {"4.jpg": "10"},
  }
  assert ids(tmp_path) == ids(tmp_path / "labels.csv") == expected
  own = folders.Folders.for_folder(tmp_path, None)
  assert own.CLASS_NAMES == ("9", "10")  # Numbers, not words.
  assert any("unlisted.jpg" in line for line in own.remarks(tmp_path))


@pytest.mark.parametrize(
  ("row", "message"),
  [
    ("../1.jpg,a", "line 2: the path '../1.jpg' must lead down"),
    ("/etc/passwd,a", "must lead down"),
    ("C:\\1.jpg,a", "must lead down"),
    (",a", "must lead down"),
    ("none.jpg,a", "line 2: there is no file"),
    ("3.jpg,", "line 2: 3.jpg has no label"),
    ("3.jpg,a\n./3.jpg,b", "line 3: an earlier line names ./3.jpg"),
    ("3.jpg,a\n4.jpg,a", "images of one class, a,"),
    ("3.jpg,angry\n4.jpg,Anger\nx/1.jpg,b", None),
  ],
)
def test_broken_lists_are_named(tmp_path, row, message):
  write_labels(tmp_path, f"path,label\n{row}\n")
  if message is None:  # Two names of one class are the same here.
    own = folders.Folders.for_folder(tmp_path, None)
    assert own.CLASS_NAMES == ("angry", "b")
    return
  with pytest.raises(ValueError, match=message):
    folders.Folders.for_folder(tmp_path, None)


def test_splits_of_a_list_are_all_or_none(tmp_path):
  write_labels(tmp_path, "path,label,split\n3.jpg,a,train\n4.jpg,b,\n")
  with pytest.raises(UserError, match="1 of 2 lines have no split"):
    own_folders.read(tmp_path)
  write_labels(tmp_path, "path,label,split\n3.jpg,a,later\n4.jpg,b,train\n")
  with pytest.raises(UserError, match="split is 'later'"):
    own_folders.read(tmp_path)


@pytest.mark.parametrize(
  ("files", "message"),
  [
    ([], "The folder is empty.*labels.csv"),
    (["a/x.txt", "b/y.txt"], "No images of classes at .*It holds a/, b/"),
    (["a/1.jpg"], "No images of classes"),
    (["train/a/1.jpg"], "images of one class, a,"),
    (["a/1.jpg", "A/1.jpg"], "'A' and 'a', which are the same"),
    (["angry/1.jpg", "anger/1.jpg"], "which are the same"),
    (["train/a/1.jpg", "val/a/1.jpg", "dev/b/2.jpg"], "both the validation"),
  ],
)
def test_other_folders_are_refused_with_what_to_do(tmp_path, files, message):
  touch(tmp_path, *files)
  with pytest.raises(ValueError, match=message) as error:
    own_folders.read(tmp_path)
    folders.Folders.for_folder(tmp_path, None)
  assert "\n" not in str(error.value)
  assert error.value.setting == "data.dir"


def test_what_is_odd_is_said_in_a_line_each(tmp_path):
  touch(
    tmp_path,
    *names("train/a", 3),
    *names("train/b", 2),
    "train/one/1.jpg",
    "test/a/8.jpg",
    "test/b/8.jpg",
    "test/late/7.jpg",
    "test/late/8.jpg",
    "val/a/9.jpg",
    "val/b/9.jpg",
    "train/a/notes.txt",
    "more/x.jpg",
  )
  (tmp_path / "train/empty").mkdir()
  lines = remarks(tmp_path)
  assert lines == [
    f"{tmp_path}/train/empty has no image and is left out.",
    "the class late is in test only, so that no network can learn it.",
    "the class one has one image.",
    "the class one has no image in validation and test.",
    f"2 files in {tmp_path} are not read (1 .jpg, 1 .txt), such as more/x.jpg.",
  ]


def load_own(folder, image_size=8):
  return load.load_splits(
    "folders",
    data_dir=str(folder),
    prepared_dir=str(folder.parent / "prepared"),
    image_size=image_size,
  )


@pytest.fixture
def warnings_of(caplog):
  caplog.set_level(logging.WARNING)
  return caplog


def test_mixed_sizes_kinds_and_colours_become_one_array(tmp_path, warnings_of):
  own = tmp_path / "own"
  picture(own / "train/a/1.jpg", 10, (30, 20))
  picture(own / "train/a/2", 20, (5, 6), kind="bmp")
  picture(own / "train/b/3.PNG", (9, 90, 200), (8, 8), "RGB", "webp")
  picture(own / "train/b/4.jpeg", 40, (8, 8), kind="jpeg")
  picture(own / "val/a/5.gif", 50, (8, 40), kind="gif")
  picture(own / "val/b/6.png", 50, (8, 40))
  splits = load_own(own)
  assert splits["train"].class_names == ("a", "b")
  assert splits["train"].ids.tolist() == [
    "train/a/1.jpg",
    "train/a/2",
    "train/b/3.PNG",
    "train/b/4.jpeg",
  ]
  assert splits["train"].labels.tolist() == [0, 0, 1, 1]
  assert splits["train"].images.shape == (4, 8, 8, 3)
  assert splits["validation"].images.shape == (2, 8, 8, 3)
  assert (splits["train"].images[0] == 10).all()
  assert (splits["train"].images[1] == 20).all()
  assert len(splits["test"]) == 0
  text = warnings_of.text
  assert "2 images have a copy with another class" not in text
  assert "folders: 1 images have a copy with another class" in text


def test_what_is_not_square_is_filled_up_and_not_stretched(tmp_path):
  own = tmp_path / "own"
  for split in ("train", "val"):
    for name in ("a", "b"):
      folder = own / split / name
      folder.mkdir(parents=True)
      pixels = np.full((12, 6), 40 if name == "a" else 90, np.uint8)
      pixels[:6] += 100
      PIL.Image.fromarray(pixels).save(folder / "1.png")
  images = load_own(own, image_size=12)["train"].images[:]
  assert images.shape == (2, 12, 12, 1)
  for image, low in zip(images[..., 0], (40, 90), strict=True):
    assert (image[:, [0, 1, 2, 9, 10, 11]] == low + 50).all()
    assert (image[:6, 3:9] == low + 100).all() and (image[6:, 3:9] == low).all()


def test_grey_pictures_are_read_as_grey(tmp_path, warnings_of):
  own = tmp_path / "own"
  for split in ("train", "val", "test"):
    picture(own / f"{split}/b/1.png", 7)
    picture(own / f"{split}/a/2.png", (9, 9, 9), mode="RGB")
  splits = load_own(own, image_size=32)
  assert splits["test"].images.shape == (2, 8, 8, 1)
  assert splits["test"].images.max(axis=(1, 2, 3)).tolist() == [9, 7]
  for pair in ("validation are in train", "test are in train"):
    assert f"2 images of {pair} too, such as train/a/2.png and" in (
      warnings_of.text
    )


def test_a_broken_picture_is_named(tmp_path):
  own = tmp_path / "own"
  picture(own / "train/a/1.png")
  touch(own, "train/b/2.jpg", "val/a/3.jpg")
  with pytest.raises(UserError, match=r"\.jpg cannot be decoded.*it is empty"):
    load_own(own)
  with pytest.raises(UserError, match="Or leave out what cannot be") as error:
    load_own(own)
  assert error.value.setting == "data.on_bad_image"


def test_any_name_of_a_file_can_be_written(tmp_path):
  own = tmp_path / "own"
  odd = b"b\xff\xfe.png".decode("utf-8", "surrogateescape")
  for split in ("train", "val"):
    picture(own / split / "lächeln\n😀" / "ä,\n.png", 1)
    picture(own / split / "b" / odd, 2)
  splits = load_own(own)
  assert splits["train"].class_names == ("b", "lächeln 😀")
  assert splits["train"].ids.tolist() == [
    "train/b/b\\udcff\\udcfe.png",
    "train/lächeln 😀/ä, .png",
  ]
  np.testing.assert_array_equal(splits["train"].images[:, 0, 0, 0], [2, 1])


def test_seeds_are_names_of_the_set():
  assert load._find_builder("folders") == load._find_builder("folders/seed0")
  assert load.published_counts("folders/seed3") == {}


def test_own_folders_must_be_named(tmp_path, monkeypatch):
  touch(tmp_path, "a/1.jpg", "b/1.jpg")
  monkeypatch.chdir(tmp_path)
  for call in (load.files_of, load.require_files):
    with pytest.raises(UserError, match="folder of your images") as error:
      call("folders", "")
    assert error.value.setting == "data.dir"
