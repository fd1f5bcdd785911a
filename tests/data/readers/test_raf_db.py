import numpy as np
import PIL.Image
import pytest

from pattlite_jax.data.readers import raf_db


def write_set(folder, labels=(5, 1, 7)):
  """Writes train images with these labels (1 to 7), and one test image."""
  names = [f"train_{n:05d}" for n in range(1, len(labels) + 1)]
  names.append("test_0001")
  (folder / "basic/EmoLabel").mkdir(parents=True)
  (folder / "basic/Image/aligned").mkdir(parents=True)
  lines = []
  for number, (name, label) in enumerate(zip(names, (*labels, 4), strict=True)):
    lines.append(f"{name}.jpg {label}")
    picture = PIL.Image.new("RGB", (100, 100), (number, 10, 200))
    # Stored without loss, whatever the name says, so that pixels compare.
    picture.save(folder / f"basic/Image/aligned/{name}_aligned.jpg", "png")
  path = folder / "basic" / raf_db.LIST_NAME
  path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*lines, ""]).encode())
  return path


def faces(folder):
  builder = raf_db.RafDb(data_dir=folder / "prepared")
  return {split: list(own) for split, own in builder.faces(folder).items()}


def test_labels_count_from_zero_and_order_is_that_of_the_list(tmp_path):
  write_set(tmp_path)
  splits = faces(tmp_path)
  assert [face.label for face in splits["train"]] == [4, 0, 6]
  assert [face.id for face in splits["train"]] == [
    "train_00001",
    "train_00002",
    "train_00003",
  ]
  (test,) = splits["test"]
  assert (test.id, test.label) == ("test_0001", 3)
  np.testing.assert_array_equal(test.image[0, 0], [3, 10, 200])
  assert test.image.shape == (100, 100, 3)
  assert raf_db.RafDb.CLASS_NAMES[test.label] == "happiness"


def test_the_folder_basic_itself_may_be_given(tmp_path):
  path = write_set(tmp_path)
  files = raf_db.RafDb.source_files(tmp_path / "basic")
  assert files[0] == path
  assert len(files) == 5


def test_validation_is_taken_out_of_train(tmp_path):
  write_set(tmp_path, labels=[1] * 20)
  splits = faces(tmp_path)
  train = {face.id for face in splits["train"]}
  validation = {face.id for face in splits["validation"]}
  assert len(train) == 18 and len(validation) == 2
  assert not train & validation


def test_published_counts_add_up():
  published = raf_db.RafDb.PUBLISHED_COUNTS
  assert sum(raf_db.TRAIN_COUNTS) == 12271
  assert sum(published["train"]) == 11044
  assert published["validation"] == (129, 28, 72, 477, 198, 71, 252)
  assert sum(published["test"]) == 3068


@pytest.mark.parametrize(
  "line",
  [
    "train_00002.jpg 8",
    "train_00002.jpg 0",
    "other.jpg 3",
    "train_00002.jpg",
    "train_../../a.jpg 3",
  ],
)
def test_a_broken_line_is_named(tmp_path, line):
  path = tmp_path / "list.txt"
  path.write_text(f"train_00001.jpg 5\n{line}\n")
  with pytest.raises(ValueError, match=r"list\.txt, line 2 is .*1 to 7") as e:
    raf_db.read_list(path)
  assert line in str(e.value)


def test_an_image_that_is_listed_twice_is_named(tmp_path):
  path = tmp_path / "list.txt"
  path.write_text("train_00001.jpg 5\n\ntrain_00001.jpg 4\n")
  with pytest.raises(ValueError, match=r"line 3 is 'train_00001.*earlier line"):
    raf_db.read_list(path)


def test_an_empty_list_is_refused(tmp_path):
  path = tmp_path / "list.txt"
  path.write_text("\n")
  with pytest.raises(ValueError, match=r"list\.txt names no image"):
    raf_db.read_list(path)


def test_a_missing_list_says_where_to_get_it(tmp_path):
  with pytest.raises(FileNotFoundError) as error:
    raf_db.RafDb.source_files(tmp_path)
  for part in ("list_patition_label.txt", "whdeng.cn", "data directory"):
    assert part in str(error.value)


def test_a_missing_image_is_named(tmp_path):
  write_set(tmp_path)
  (tmp_path / "basic/Image/aligned/train_00002_aligned.jpg").unlink()
  with pytest.raises(FileNotFoundError, match=r"train_00002_aligned\.jpg"):
    raf_db.RafDb.source_files(tmp_path)


def test_a_broken_image_is_named(tmp_path):
  write_set(tmp_path)
  path = tmp_path / "basic/Image/aligned/train_00002_aligned.jpg"
  path.write_bytes(b"")
  with pytest.raises(ValueError, match=r"train_00002_aligned\.jpg cannot be"):
    faces(tmp_path)


def test_an_image_of_another_size_is_named(tmp_path):
  write_set(tmp_path)
  path = tmp_path / "basic/Image/aligned/test_0001_aligned.jpg"
  PIL.Image.new("RGB", (120, 100)).save(path)
  with pytest.raises(ValueError, match=r"test_0001.*100 x 120.*100 x 100"):
    faces(tmp_path)


def write_class_folders(folder, labels=(5, 1, 7)):
  """Writes the images of `write_set` as Kaggle's copy has them."""
  pictures = {f"train_{n:05d}": k for n, k in enumerate(labels, start=1)}
  pictures["test_0001"] = 4
  rows = {"train": ["image,label"], "test": ["image,label"]}
  for number, (name, label) in enumerate(pictures.items()):
    split = name.partition("_")[0]
    path = folder / f"DATASET/{split}/{label}/{name}_aligned.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", (100, 100), (number, 10, 200)).save(path, "png")
    rows[split].append(f"{path.name},{label}")
  for split, lines in rows.items():
    (folder / f"{split}_labels.csv").write_text("\n".join(lines))
  (folder / "DATASET/train/1/Thumbs.db").touch()
  return folder / "DATASET"


def test_class_folders_give_the_faces_of_the_official_list(tmp_path):
  labels = [1 + k % 2 for k in range(20)]
  write_set(tmp_path / "official", labels)
  write_class_folders(tmp_path / "folders", labels)
  official, folders = faces(tmp_path / "official"), faces(tmp_path / "folders")
  assert {split: len(own) for split, own in folders.items()} == {
    "train": 18,
    "validation": 2,
    "test": 1,
  }
  for split, own in official.items():
    assert [f[1:3] for f in own] == [f[1:3] for f in folders[split]]
    for one, other in zip(own, folders[split], strict=True):
      np.testing.assert_array_equal(one.image, other.image)


def test_the_lists_of_class_folders_are_files_of_the_set(tmp_path):
  root = write_class_folders(tmp_path)
  files = raf_db.RafDb.source_files(tmp_path)
  assert [p.name for p in files[:2]] == ["train_labels.csv", "test_labels.csv"]
  assert len(files) == 6
  assert len(raf_db.RafDb.source_files(root)) == 4  # Without the csv.
  assert raf_db.RafDb.remarks(tmp_path) == []
  (root / "train/5/notes.txt").touch()
  (line,) = raf_db.RafDb.remarks(tmp_path)
  assert "train/5/notes.txt" in line


@pytest.mark.parametrize(
  ("line", "message"),
  [
    ("train_00002_aligned.jpg,3", "line 3 .*label 3, but it lies in .* 1;"),
    ("train_00009_aligned.jpg,3", "line 3 names train_00009_aligned.jpg"),
    ("train_00002_aligned.jpg,8", "line 3 has .*'8', but must"),
    ("a.jpg,3", "line 3 has 'a.jpg'"),
  ],
)
def test_lists_that_disagree_with_the_folders_are_named(
  tmp_path, line, message
):
  write_class_folders(tmp_path)
  (tmp_path / "train_labels.csv").write_text(
    f"image,label\ntrain_00001_aligned.jpg,5\n{line}\n"
  )
  with pytest.raises(ValueError, match=message):
    raf_db.RafDb.source_files(tmp_path)


@pytest.mark.parametrize(
  ("name", "message"),
  [
    ("train/1/x.jpg", r"x\.jpg must be named like train_00001"),
    ("train/1/test_0001_aligned.jpg", "must be named like train_00001"),
    ("train/1/train_00001_aligned.jpg", "have the same name"),
    ("test/8/test_0002_aligned.jpg", "8 is not a class of RAF-DB"),
  ],
)
def test_images_that_are_not_raf_dbs_are_named(tmp_path, name, message):
  root = write_class_folders(tmp_path)
  (root / name).parent.mkdir(exist_ok=True)
  (root / name).touch()
  with pytest.raises(ValueError, match=message):
    raf_db.RafDb.source_files(tmp_path)
