import collections
import csv
import os
import pathlib

import numpy as np
import PIL.Image
import pytest
import tensorflow_datasets as tfds

from pattlite_jax.data import load
from pattlite_jax.data.readers import builder, fer2013

# The usages are mixed on purpose: order and numbers must still be right.
USAGES = ("Training", "PublicTest", "Training", "PrivateTest", "Training")
EMOTIONS = (3, 0, 6, 1, 3)


def random_images(number, seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (number, 48, 48, 1), dtype=np.uint8)


def write_csv(path, images, emotions=EMOTIONS, usages=USAGES):
  lines = ["emotion,pixels,Usage"]
  for image, emotion, usage in zip(images, emotions, usages, strict=True):
    lines.append(f"{emotion},{' '.join(map(str, image.ravel()))},{usage}")
  path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  """Returns the images of a small csv, and its splits as TFDS stored them."""
  folder = tmp_path_factory.mktemp("fer2013")
  images = random_images(len(USAGES))
  write_csv(folder / "fer2013.csv", images)
  splits = load.load_splits(
    "fer2013",
    data_dir=str(folder),
    prepared_dir=str(folder / "prepared"),
    image_size=96,
  )
  return images, splits


def test_usages_become_splits_in_the_order_of_the_file(prepared):
  images, splits = prepared
  np.testing.assert_array_equal(splits["train"].images, images[[0, 2, 4]])
  np.testing.assert_array_equal(splits["validation"].images, images[[1]])
  np.testing.assert_array_equal(splits["test"].images, images[[3]])
  assert splits["train"].labels.tolist() == [3, 6, 3]
  assert splits["validation"].labels.tolist() == [0]
  assert splits["test"].labels.tolist() == [1]


def test_ids_number_the_rows_within_their_usage(prepared):
  _, splits = prepared
  assert splits["train"].ids.tolist() == [
    "Training-00000",
    "Training-00001",
    "Training-00002",
  ]
  assert splits["validation"].ids.tolist() == ["PublicTest-00000"]
  assert splits["test"].ids.tolist() == ["PrivateTest-00000"]


def test_class_names_follow_the_numbers_of_the_file(prepared):
  _, splits = prepared
  assert splits["test"].class_names == (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
    "neutral",
  )


def test_icml_file_has_other_columns_mark_and_line_ends(tmp_path):
  images = random_images(2)
  path = tmp_path / "icml_face_data.csv"
  rows = [
    f"{emotion}, {usage}, {' '.join(map(str, image.ravel()))}"
    for emotion, usage, image in zip(
      (5, 2), ("Training", "PublicTest"), images, strict=True
    )
  ]
  text = "\r\n".join(["emotion, Usage, pixels", *rows, "", ""])
  path.write_bytes(b"\xef\xbb\xbf" + text.encode())
  assert fer2013.Fer2013.source_files(tmp_path) == [path]
  rows = fer2013.read_rows(path)
  assert rows.usages == ["Training", "PublicTest"]
  assert rows.labels.tolist() == [5, 2]
  np.testing.assert_array_equal(rows.images, images)


def test_the_archives_own_folder_is_searched_too(tmp_path):
  (tmp_path / "fer2013").mkdir()
  path = tmp_path / "fer2013" / "fer2013.csv"
  write_csv(path, random_images(len(USAGES)))
  assert fer2013.Fer2013.source_files(tmp_path) == [path]


PIXELS = ["7"] * 2304


@pytest.mark.parametrize(
  ("row", "message"),
  [
    (("7", PIXELS, "Training"), r"line 3: emotion is '7'.*0 to 6"),
    (("x", PIXELS, "Training"), r"line 3: emotion is 'x'"),
    (("1", PIXELS[1:], "Training"), r"line 3: 2303 pixels.*2304"),
    (("1", [*PIXELS[1:], "256"], "Training"), r"line 3: .* 7 to 256.*0 to 255"),
    (("1", [*PIXELS[1:], "-1"], "Training"), r"line 3: .* -1 to 7"),
    (("1", [*PIXELS[1:], "7.5"], "Training"), r"line 3: .*whole numbers"),
    (("1", [*PIXELS[1:], "a"], "Training"), r"line 3: .*whole numbers"),
    (("1", [], "Training"), r"line 3: 0 pixels"),
    (("1", PIXELS, "training"), r"line 3: Usage is 'training'.*PublicTest"),
  ],
)
def test_a_broken_row_is_named(tmp_path, row, message):
  path = tmp_path / "fer2013.csv"
  emotion, pixels, usage = row
  good, bad = " ".join(PIXELS), " ".join(pixels)
  path.write_text(
    f"emotion,pixels,Usage\n0,{good},Training\n{emotion},{bad},{usage}\n"
  )
  with pytest.raises(ValueError, match=message) as error:
    fer2013.read_rows(path)
  assert str(path) in str(error.value)


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("pixels\n1 2 3\n", r"lacks the columns \['emotion', 'Usage'\].*'pixels'"),
    ("", r"lacks the columns"),
    ("emotion,pixels,Usage\n", "a header but no rows"),
    ("emotion,pixels,Usage\n0,1 2\n", "line 2: 2 fields.* has 3"),
    (
      'emotion,pixels,Usage\n\n0,"1 2,Training\n0,1 2,Training\n',
      "line 3: unexpected end of data.*quotes",
    ),
    ('emotion,pixels,Usage\n0,"1"2,Training\n', "line 2: .*quotes"),
    ("emotion,pixels,Usage\n0," + "1 " * 10**6, "line 2 has more than 100,000"),
    ("\0\1PK\3" * 10**5, "line 1 has more than 100,000"),
    ("\0\1PK\3\n", r"lacks the columns .* it has '\\x00"),
  ],
)
def test_a_file_of_another_form_is_refused(tmp_path, text, message):
  path = tmp_path / "fer2013.csv"
  path.write_text(text)
  with pytest.raises(ValueError, match=message) as error:
    fer2013.read_rows(path)
  assert str(path) in str(error.value)
  assert len(str(error.value)) < len(str(path)) + 300


def test_what_a_message_quotes_is_kept_short(tmp_path):
  path = tmp_path / "fer2013.csv"
  long = "x" * 50_000
  for row in (f"{long},1 2,Training", f"0,1 2,{long}"):
    path.write_text(f"emotion,pixels,Usage\n{row}\n")
    with pytest.raises(ValueError, match=r"line 2: .*xxx") as error:
      fer2013.read_rows(path)
    assert len(str(error.value)) < len(str(path)) + 300


def test_quoted_pixels_are_read(tmp_path):
  path = tmp_path / "fer2013.csv"
  row = f'"3","{" ".join(PIXELS)}","Training"'
  path.write_bytes(f"emotion,pixels,Usage\r\n{row}\r\n".encode())
  rows = fer2013.read_rows(path)
  assert rows.labels.tolist() == [3]
  assert (rows.images == 7).all()


def test_missing_files_say_where_to_get_them(tmp_path):
  with pytest.raises(FileNotFoundError) as error:
    fer2013.Fer2013.source_files(tmp_path)
  for part in (str(tmp_path), "fer2013.csv", "Kaggle", "data directory"):
    assert part in str(error.value)


def write_folders(folder):
  """Writes two training images and one of test, in another order."""
  images = random_images(3)
  names = (
    "train/happy/Training_2.jpg",
    "train/angry/Training_9.jpg",
    "test/sad/PrivateTest_1.jpg",
  )
  for name, image in zip(names, images, strict=True):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    picture = PIL.Image.fromarray(image[..., 0])
    # Stored without loss, whatever the name says, so that pixels compare.
    picture.save(folder / name, format="png")
  return images


@pytest.fixture
def image_folders(tmp_path):
  return tmp_path, write_folders(tmp_path)


def test_image_folders_warn_of_their_splits(image_folders, caplog):
  folder, images = image_folders
  own = fer2013.Fer2013(data_dir=folder / "prepared")
  splits = {k: list(v) for k, v in own.faces(folder).items()}
  assert list(splits) == ["train", "validation", "test"]
  assert [face.id for face in splits["train"]] == [
    "train/angry/Training_9.jpg",
    "train/happy/Training_2.jpg",
  ]
  assert [face.label for face in splits["train"]] == [0, 3]
  np.testing.assert_array_equal(splits["train"][0].image, images[1])
  assert [face.label for face in splits["test"]] == [4]
  assert "do not have the official splits" in caplog.text
  assert "7,178" in caplog.text


def test_a_tenth_of_the_training_folders_is_held_out(image_folders):
  folder, _ = image_folders
  image = (folder / "train/happy/Training_2.jpg").read_bytes()
  for number in range(100, 119):
    (folder / f"train/happy/Training_{number}.jpg").write_bytes(image)
  own = fer2013.Fer2013(data_dir=folder / "prepared")
  ids = {k: {f.id for f in v} for k, v in own.faces(folder).items()}
  assert len(ids["validation"]) == 2  # Two of 20 happy faces, none of 1.
  assert len(ids["train"]) == 19
  assert not ids["validation"] & ids["train"]


def test_a_broken_image_is_named(image_folders):
  folder, _ = image_folders
  path = folder / "train/angry/Training_9.jpg"
  path.write_bytes(b"not a picture")
  own = fer2013.Fer2013(data_dir=folder / "prepared")
  with pytest.raises(ValueError, match="cannot be decoded") as error:
    list(own.faces(folder)["train"])
  assert str(path) in str(error.value)


def test_a_cut_image_is_named(image_folders):
  folder, _ = image_folders
  path = folder / "train/angry/Training_9.jpg"
  path.write_bytes(path.read_bytes()[:1000])
  own = fer2013.Fer2013(data_dir=folder / "prepared")
  with pytest.raises(ValueError, match=r"Training_9\.jpg cannot be decoded"):
    list(own.faces(folder)["train"])


def test_an_image_of_another_size_is_named(image_folders):
  folder, _ = image_folders
  path = folder / "train/happy/Training_2.jpg"
  PIL.Image.new("L", (47, 48)).save(path)
  own = fer2013.Fer2013(data_dir=folder / "prepared")
  with pytest.raises(ValueError, match=r"48 x 47 pixels.*48 x 48") as error:
    list(own.faces(folder)["train"])
  assert str(path) in str(error.value)


def test_an_unknown_class_folder_is_refused(image_folders):
  folder, _ = image_folders
  (folder / "test" / "bored").mkdir()
  with pytest.raises(ValueError, match=r"bored is not a class.*'angry'"):
    fer2013.Fer2013.source_files(folder)


def test_count_differences_name_split_class_and_numbers():
  seen = {"train": (2, 5), "validation": (1, 1)}
  published = {"train": (2, 4), "validation": (1, 1), "test": (1200, 0)}
  assert builder.count_differences(seen, published, ("anger", "fear")) == [
    "train, fear: 5 images seen, 4 expected",
    "test: no images seen, 1,200 expected",
  ]


def test_counts_of_all_splits_are_compared_as_their_sum():
  seen = {"train": (2, 5), "test": (1, 1)}
  names = ("anger", "fear")
  assert builder.count_differences(seen, {"all": (3, 6)}, names) == []
  assert builder.count_differences(seen, {"all": (3, 7)}, names) == [
    "all, fear: 6 images seen, 7 expected"
  ]


def test_published_counts_add_up():
  published = fer2013.Fer2013.PUBLISHED_COUNTS
  totals = {split: sum(counts) for split, counts in published.items()}
  assert totals == {"train": 28709, "validation": 3589, "test": 3589}


@pytest.mark.skipif(
  "PATTLITE_FER2013_DIR" not in os.environ,
  reason="PATTLITE_FER2013_DIR, the folder of fer2013.csv, is not set",
)
def test_real_file_has_the_published_counts(tmp_path):
  folder = pathlib.Path(os.environ["PATTLITE_FER2013_DIR"])
  splits = load.load_splits(
    "fer2013", data_dir=str(folder), prepared_dir=str(tmp_path), image_size=48
  )
  assert len(splits["train"]) == 28709
  assert len(splits["validation"]) == 3589
  with (folder / "fer2013.csv").open(newline="") as file:
    in_file = collections.Counter(
      (row["Usage"], int(row["emotion"])) for row in csv.DictReader(file)
    )
  for usage, split in fer2013.SPLIT_OF_USAGE.items():
    counts = load.class_counts(splits[split])
    assert counts.tolist() == [in_file[usage, label] for label in range(7)]
  for split in ("train", "validation"):
    counts = load.class_counts(splits[split])
    published = np.array(fer2013.Fer2013.PUBLISHED_COUNTS[split])
    # Copies that were put together again swap the labels of some duplicates.
    assert np.abs(counts - published).sum() <= 40


def test_features_are_image_label_and_id(tmp_path):
  features = fer2013.Fer2013(data_dir=tmp_path).info.features
  assert list(features) == ["image", "label", "id"]
  assert features["image"].shape == (48, 48, 1)
  assert features["label"].num_classes == 7
  assert isinstance(features["id"], tfds.features.Text)
