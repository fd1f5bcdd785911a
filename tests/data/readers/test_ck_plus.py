import collections

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattlite_jax.data.readers import ck_plus

# Subject, sequence, number of frames and label as in the file (None: none).
SEQUENCES = (
  ("S005", "001", 5, 3),
  ("S005", "002", 4, None),
  ("S010", "004", 3, 7),
  ("S011", "001", 4, 1),
)


def write_official(folder, with_landmarks):
  """Writes frames of 64 x 80 whose brightness is the frame's number."""
  for subject, sequence, num_frames, label in SEQUENCES:
    part = f"{subject}/{sequence}"
    for kind in ("cohn-kanade-images", "Emotion", "Landmarks"):
      if kind != "Landmarks" or with_landmarks:
        (folder / kind / part).mkdir(parents=True)
    for number in range(1, num_frames + 1):
      stem = f"{subject}_{sequence}_{number:08d}"
      picture = PIL.Image.new("L", (80, 64), number)
      picture.save(folder / "cohn-kanade-images" / part / f"{stem}.png")
      if with_landmarks:
        points = [(30, 20), (50, 20), *[(40, 40)] * 66]
        text = "".join(f"  {x:.7e}   {y:.7e}\r\n" for x, y in points)
        path = folder / "Landmarks" / part / f"{stem}_landmarks.txt"
        path.write_text(text)
    if label:
      path = folder / "Emotion" / part / f"{stem}_emotion.txt"
      path.write_text(f"   {label:.7e}\n")
  # What macOS leaves behind in archives must not be read.
  (folder / "cohn-kanade-images/S005/001/._S005_001_00000005.png").touch()


def faces(folder, config="fold0"):
  builder = ck_plus.CkPlus(data_dir=folder / "prepared", config=config)
  return {split: list(own) for split, own in builder.faces(folder).items()}


def test_the_last_three_frames_of_labelled_sequences_are_used(tmp_path):
  write_official(tmp_path, with_landmarks=False)
  own = [face for split in faces(tmp_path).values() for face in split]
  labels = {face.id: face.label for face in own}
  assert labels == {
    "S005_001_00000003": 2,
    "S005_001_00000004": 2,
    "S005_001_00000005": 2,
    "S010_004_00000001": 6,
    "S010_004_00000002": 6,
    "S010_004_00000003": 6,
    "S011_001_00000002": 0,
    "S011_001_00000003": 0,
    "S011_001_00000004": 0,
  }
  assert all(face.image.shape == (64, 80, 1) for face in own)
  assert all(int(face.id[-1]) == face.image.max() for face in own)


def test_landmarks_cut_out_a_square(tmp_path):
  write_official(tmp_path, with_landmarks=True)
  face = faces(tmp_path)["train"][0]
  # The landmarks' box is 20 x 20; a fifth more on each side makes 28.
  assert face.image.shape == (28, 28, 1)


def test_source_files_are_those_that_are_read(tmp_path):
  write_official(tmp_path, with_landmarks=True)
  files = ck_plus.CkPlus.source_files(tmp_path)
  suffixes = collections.Counter(path.name.split("_")[-1] for path in files)
  assert suffixes["emotion.txt"] == 3
  assert suffixes["landmarks.txt"] == 9
  assert len(files) == 21


def test_crop_is_centred_on_the_landmarks():
  image = np.arange(100 * 120, dtype=np.int32).reshape(100, 120, 1) % 251
  image = image.astype(np.uint8)
  points = np.array([[40.0, 30.0], [60.0, 40.0]])
  crop = ck_plus.crop_square(image, points)  # Centre (50, 35), side 28.
  np.testing.assert_array_equal(crop, image[21:49, 36:64])


def test_class_folders_as_people_keep_them(tmp_path):
  write_ck48(tmp_path / "CK+48")
  root = tmp_path / "CK+48"
  (root / "happy").rename(root / "Happiness")
  frame = root / "fear/S010_004_00000017.png"
  frame.rename(frame.with_suffix(".JPG"))
  (root / "fear/notes.txt").touch()
  (root / "__MACOSX/fear").mkdir(parents=True)
  (root / "__MACOSX/fear/S999_004_00000017.png").touch()
  frames = ck_plus.find_frames(tmp_path)
  assert [(f.image_path.name, f.label) for f in frames] == [
    ("S010_004_00000017.JPG", 3),
    ("S022_003_00000030.png", 4),
  ]
  (line,) = ck_plus.CkPlus.remarks(tmp_path)
  assert line.startswith("1 file in ") and "fear/notes.txt" in line


def test_frames_without_a_subject_are_refused(tmp_path):
  write_ck48(tmp_path)
  (tmp_path / "fear/17.png").touch()
  with pytest.raises(ValueError, match=r"17\.png is not named like S005_001"):
    ck_plus.find_frames(tmp_path)


@given(
  low=st.tuples(st.floats(-20, 120), st.floats(-20, 120)),
  extent=st.tuples(st.floats(0, 150), st.floats(0, 150)),
)
def test_crop_is_a_square_of_the_picture(low, extent):
  image = np.zeros((90, 110, 1), np.uint8)
  points = np.array([low, np.add(low, extent)])
  height, width, _ = ck_plus.crop_square(image, points).shape
  assert 1 <= height == width <= 90


def write_ck48(folder):
  for name in ("fear/S010_004_00000017", "happy/S022_003_00000030"):
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True)
    PIL.Image.new("L", (48, 48), 9).save(path)


@pytest.mark.parametrize("inside", ["CK+48", "."])
def test_class_folders_of_the_small_copy(tmp_path, inside):
  write_ck48(tmp_path / inside)
  own = [face for split in faces(tmp_path).values() for face in split]
  assert {(face.id, face.label) for face in own} == {
    ("S010_004_00000017", 3),
    ("S022_003_00000030", 4),
  }
  assert own[0].image.shape == (48, 48, 1)


@given(
  st.dictionaries(
    st.from_regex(r"S[0-9]{3}", fullmatch=True), st.integers(1, 9), min_size=1
  )
)
def test_folds_are_balanced_and_do_not_depend_on_order(images_of_subject):
  folds = ck_plus.assign_folds(images_of_subject)
  assert folds.keys() == images_of_subject.keys()
  backwards = dict(reversed(images_of_subject.items()))
  assert ck_plus.assign_folds(backwards) == folds
  sizes = np.zeros(10, int)
  for name, fold in folds.items():
    sizes[fold] += images_of_subject[name]
  assert np.ptp(sizes) <= max(images_of_subject.values())


def test_folds_of_a_small_example():
  sizes = {f"S{n:03d}": 3 for n in range(11)} | {"S999": 6}
  folds = ck_plus.assign_folds(sizes)
  assert folds["S999"] == 0  # Most images first,
  assert [folds[f"S{n:03d}"] for n in range(11)] == [*range(1, 10), 1, 2]


def test_each_subject_is_tested_once_and_never_trained_on_then(tmp_path):
  (tmp_path / "anger").mkdir()
  for number in range(24):
    path = tmp_path / f"anger/S{number // 2:03d}_001_{number:08d}.png"
    PIL.Image.new("L", (48, 48)).save(path)
  tested = []
  for fold in range(10):
    splits = faces(tmp_path, f"fold{fold}")
    people = {k: {f.id[:4] for f in own} for k, own in splits.items()}
    assert not people["train"] & (people["validation"] | people["test"])
    assert not people["validation"] & people["test"]
    tested += [face.id for face in splits["test"]]
  assert len(tested) == len(set(tested)) == 24


def test_validation_is_the_next_fold(tmp_path):
  (tmp_path / "anger").mkdir()
  for number in range(10):
    path = tmp_path / f"anger/S{number:03d}_001_00000001.png"
    PIL.Image.new("L", (48, 48)).save(path)
  last = faces(tmp_path, "fold9")
  assert last["test"][0].id.startswith("S009")
  assert last["validation"][0].id.startswith("S000")
  assert len(last["train"]) == 8


def test_published_counts_are_three_frames_a_sequence():
  (counts,) = ck_plus.CkPlus.PUBLISHED_COUNTS.values()
  assert sum(counts) == 981
  assert [count // 3 for count in counts] == [45, 18, 59, 25, 69, 28, 83]


@pytest.mark.parametrize("text", ["0", "8", "2.5", "", "happy", "nan"])
def test_a_broken_label_is_named(tmp_path, text):
  write_official(tmp_path, with_landmarks=False)
  path = tmp_path / "Emotion/S010/004/S010_004_00000003_emotion.txt"
  path.write_text(text)
  with pytest.raises(ValueError, match="must hold 1 to 7") as error:
    ck_plus.find_frames(tmp_path)
  assert str(path) in str(error.value)


@pytest.mark.parametrize(
  "text", ["1 2\n", "a b\n" * 68, "1\n" * 68, "1e300 -1e300\n" * 68]
)
def test_broken_landmarks_are_named(tmp_path, text):
  write_official(tmp_path, with_landmarks=True)
  name = "Landmarks/S010/004/S010_004_00000003_landmarks.txt"
  (tmp_path / name).write_text(text)
  with pytest.raises(ValueError, match=r"S010_004_00000003_landmarks\.txt"):
    faces(tmp_path)


def test_missing_landmarks_are_named(tmp_path):
  write_official(tmp_path, with_landmarks=True)
  name = "Landmarks/S010/004/S010_004_00000003_landmarks.txt"
  (tmp_path / name).unlink()
  with pytest.raises(FileNotFoundError, match=r"00000003_landmarks\.txt"):
    ck_plus.CkPlus.source_files(tmp_path)


def test_a_sequence_that_is_too_short_is_named(tmp_path):
  write_official(tmp_path, with_landmarks=False)
  folder = tmp_path / "cohn-kanade-images/S010/004"
  (folder / "S010_004_00000001.png").unlink()
  with pytest.raises(ValueError, match=r"has 2 frames, .* at least 3") as error:
    ck_plus.find_frames(tmp_path)
  assert str(folder) in str(error.value)


def test_missing_files_say_where_to_get_them(tmp_path):
  with pytest.raises(FileNotFoundError) as error:
    ck_plus.CkPlus.source_files(tmp_path)
  for part in (str(tmp_path), "CK+48", "authors", "data directory"):
    assert part in str(error.value)
