import re

import numpy as np
import pytest

from pattlite_jax.data import challenge_lists, challenges
from pattlite_jax.data.examples import Examples
from pattlite_jax.data.readers import ferplus

OCCLUSION, POSE_30, POSE_45 = challenge_lists.PUBLISHED["ferplus"]
RAF_OCCLUSION, RAF_POSE_30, _ = challenge_lists.PUBLISHED["raf_db"]


def write(folder, published, text):
  folder.mkdir(exist_ok=True)
  path = folder / published.file
  path.write_bytes(text.encode())
  return path


def make_test_split(ids, labels, class_names=ferplus.CLASS_NAMES):
  return Examples(
    np.zeros((len(ids), 4, 4, 1), np.uint8),
    np.array(labels, np.int32),
    np.array(ids),
    class_names,
  )


@pytest.mark.parametrize(
  ("published", "text", "ids"),
  [
    (
      OCCLUSION,
      "1_fer0034656.png 8 0\r\n3_fer0034778.png 8 2\r\n",
      ["fer0034656", "fer0034778"],
    ),
    (
      POSE_30,
      "1/fer0032226.jpg\n\n3/fer0032227.jpg",
      ["fer0032226", "fer0032227"],
    ),
    (
      RAF_OCCLUSION,
      "test_0003_aligned 1 4\r\ntest_0006_aligned 3 3",
      ["test_0003", "test_0006"],
    ),
    (
      RAF_POSE_30,
      "1/test_0004_aligned.jpg\n3/test_0006_aligned.jpg\n",
      ["test_0004", "test_0006"],
    ),
  ],
)
def test_reads_the_published_formats(tmp_path, published, text, ids):
  path = write(tmp_path, published, text)
  listed = challenge_lists.read_list(path, published, 7)
  assert listed.ids.tolist() == ids
  assert listed.labels.tolist() == [1, 3]
  assert (listed.num_lines, listed.duplicates) == (2, ())


@pytest.mark.parametrize("family", challenge_lists.PUBLISHED)
def test_the_samples_are_like_the_lists(family):
  for published in challenge_lists.PUBLISHED[family]:
    match = re.fullmatch(published.pattern, published.sample)
    assert match
    assert int(match["label"]) < 7


def test_a_face_listed_twice_counts_once(tmp_path):
  line = "test_2464_aligned 6 2\r\n"
  path = write(tmp_path, RAF_OCCLUSION, line + "test_0001_aligned 0 1\n" + line)
  listed = challenge_lists.read_list(path, RAF_OCCLUSION, 7)
  assert listed.ids.tolist() == ["test_2464", "test_0001"]
  assert listed.num_lines == 3
  assert listed.duplicates == ("test_2464",)


@pytest.mark.parametrize(
  ("line", "words"),
  [
    ("test_0001_aligned 0 1", "must be like '0/fer0032226.jpg'"),
    ("0/fer123.jpg", "must be like"),
    ("8/fer0032228.jpg", "label must be below 8"),
    ("1/fer0032226.jpg", "gives fer0032226 the label 0"),
  ],
)
def test_a_wrong_line_is_named(tmp_path, line, words):
  path = write(tmp_path, POSE_30, f"0/fer0032226.jpg\n{line}\n")
  with pytest.raises(ValueError, match=words) as error:
    challenge_lists.read_list(path, POSE_30, 8)
  assert f"{path}, line 2 is {line!r}" in str(error.value)


def test_an_empty_list_is_refused(tmp_path):
  path = write(tmp_path, POSE_30, "\r\n\n")
  with pytest.raises(ValueError, match=r"txt names no face\..*https:"):
    challenge_lists.read_list(path, POSE_30, 8)


def test_a_long_line_is_not_quoted_whole(tmp_path):
  path = write(tmp_path, POSE_30, "0/fer" + 10**5 * "0")
  with pytest.raises(
    ValueError, match=r"line 1 is '0/fer0.*\.\.\..*'"
  ) as error:
    challenge_lists.read_list(path, POSE_30, 8)
  assert len(str(error.value)) < len(str(path)) + 300


def test_absent_faces_are_told_apart(tmp_path):
  lines = [f"{label}/fer{k:07d}.jpg" for k, label in enumerate([0, 1, 2, 3, 4])]
  path = write(tmp_path, POSE_30, "\n".join(lines))
  listed = challenge_lists.read_list(path, POSE_30, 8)
  test = make_test_split(
    ["fer0000004", "fer0000009", "fer0000000", "fer0000001"], [4, 7, 0, 5]
  )
  subset = challenges.select(listed, test, frozenset({"fer0000002"}))
  assert subset.examples.ids.tolist() == [
    "fer0000000",
    "fer0000001",
    "fer0000004",
  ]
  assert subset.examples.labels.tolist() == [0, 5, 4]
  assert subset.list_labels.tolist() == [0, 1, 4]
  assert subset.dropped == ("fer0000002",)
  assert subset.unknown == ("fer0000003",)
  said = challenges.describe(subset)
  assert said["label_agreement"] == pytest.approx(2 / 3)
  assert (said["num_lines"], said["published_num_lines"]) == (5, 1170)
  assert said["num_examples"] == 3


def test_a_list_of_other_images_is_an_error(tmp_path):
  path = write(tmp_path, POSE_30, "0/fer0032226.jpg")
  listed = challenge_lists.read_list(path, POSE_30, 8)
  with pytest.raises(ValueError, match=r"fer0032226.*like face-1"):
    challenges.select(listed, make_test_split(["face-1"], [0]), frozenset())


RAF_TEST = (["test_0001", "test_0002"], [0, 6], tuple("abcdefg"))


def test_finds_the_lists_of_the_data_set(tmp_path):
  write(tmp_path, POSE_30, "0/fer0032226.jpg")
  write(tmp_path / "RAF_DB_dir", RAF_OCCLUSION, "test_0002_aligned 6 4")
  write(tmp_path, RAF_POSE_30, "0/test_0001_aligned.jpg")
  subsets = challenges.load_subsets(
    "raf_db", str(tmp_path), "", make_test_split(*RAF_TEST)
  )
  found = {s.source.published.subset: s.examples.ids.tolist() for s in subsets}
  assert found == {"occlusion": ["test_0002"], "pose_30": ["test_0001"]}


def test_missing_lists_and_other_data_sets_are_errors(tmp_path):
  test = make_test_split(*RAF_TEST)
  write(tmp_path, POSE_30, "0/fer0032226.jpg")
  with pytest.raises(FileNotFoundError, match="Get the lists") as error:
    challenges.load_subsets("raf_db", str(tmp_path), "", test)
  assert RAF_OCCLUSION.file in str(error.value)
  assert error.value.setting == "challenge_lists"
  with pytest.raises(ValueError, match="no challenge lists for 'fer2013'"):
    challenges.load_subsets("fer2013", str(tmp_path), "", test)


def test_images_without_a_label_are_those_of_the_test_rows(tmp_path):
  columns = "Usage,Image name," + ",".join(ferplus.VOTE_COLUMNS)
  votes = ",".join(["10", *"0" * 9])
  rows = [
    f"{usage},{name},{votes}"
    for usage, name in [
      ("Training", "fer0000001.png"),
      ("PrivateTest", "fer0000002.png"),
      ("PrivateTest", "fer0000003.png"),
      ("PrivateTest", ""),
    ]
  ]
  (tmp_path / "fer2013new.csv").write_text("\n".join([columns, *rows]))
  (tmp_path / "fer2013.csv").write_text("")
  test = make_test_split(["fer0000003"], [0])
  got = challenges.labelless_ids("ferplus/majority", str(tmp_path), test)
  assert got == {"fer0000002"}
  assert challenges.labelless_ids("raf_db", str(tmp_path), test) == frozenset()
  assert challenges.labelless_ids("ferplus/majority", None, test) == frozenset()
