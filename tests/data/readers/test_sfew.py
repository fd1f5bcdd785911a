import PIL.Image
import pytest

from pattlite_jax.data.readers import sfew


def write(folder, train, val, number=2):
  for place, label in ((train, "Angry"), (train, "Neutral"), (val, "Sad")):
    for k in range(number):
      path = folder / place / label / f"Film_{k:03d}_0000000{k}.png"
      path.parent.mkdir(parents=True, exist_ok=True)
      PIL.Image.new("RGB", (6, 8), k).save(path)


@pytest.mark.parametrize(
  ("train", "val"),
  [
    ("Train", "Val"),
    ("Train_Aligned_Faces", "Val_Aligned_Faces_new"),
    ("Train/Train_Aligned_Faces", "Val/Val_Aligned_Faces"),
    ("SFEW/train", "SFEW/val"),
  ],
)
def test_its_layouts(tmp_path, train, val):
  write(tmp_path, train, val)
  (tmp_path / train / "Angry/Thumbs.db").touch()
  (tmp_path / val / "Sad/notes.txt").touch()
  splits = sfew.Sfew.entries(tmp_path)
  names = sfew.Sfew.CLASS_NAMES
  assert {
    k: [(e.id, names[e.label]) for e in v] for k, v in splits.items()
  } == {
    "train": [
      ("train/anger/Film_000_00000000", "anger"),
      ("train/anger/Film_001_00000001", "anger"),
      ("train/neutral/Film_000_00000000", "neutral"),
      ("train/neutral/Film_001_00000001", "neutral"),
    ],
    "validation": [],
    "test": [
      ("test/sadness/Film_000_00000000", "sadness"),
      ("test/sadness/Film_001_00000001", "sadness"),
    ],
  }
  assert sfew.Sfew.read(splits["test"][0]).shape == (8, 6, 3)
  (line,) = sfew.Sfew.remarks(tmp_path)
  assert "1 file in" in line and "notes.txt" in line


def test_a_tenth_of_train_is_held_out(tmp_path):
  write(tmp_path, "Train", "Val", number=10)
  splits = sfew.Sfew.entries(tmp_path)
  assert sorted(e.label for e in splits["validation"]) == [0, 6]
  assert len(splits["train"]) == 18 and len(splits["test"]) == 10


def test_published_counts_add_up():
  assert sum(sfew.TRAIN_COUNTS) == 958
  assert sum(sfew.TEST_COUNTS) == 436
  counts = sfew.Sfew.PUBLISHED_COUNTS
  assert sum(counts["train"]) + sum(counts["validation"]) == 958


def test_missing_files_say_where_to_get_them(tmp_path):
  (tmp_path / "Train_Aligned_Faces.zip").touch()
  with pytest.raises(FileNotFoundError, match=r"cs\.anu\.edu\.au") as error:
    sfew.Sfew.source_files(tmp_path)
  assert "unpack that first" in str(error.value)
