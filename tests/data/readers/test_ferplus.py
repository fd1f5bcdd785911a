import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pattlite_jax.data import load
from pattlite_jax.data.readers import ferplus

USAGES = ("Training", "Training", "Training", "PublicTest", "PrivateTest")
HEADER = (
  "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,"
  "contempt,unknown,NF"
)
# The second is a tie, the third has no name and is not a face, and the last
# has a name that was there before.
VOTE_ROWS = (
  "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0",
  "Training,fer0000001.png,5,5,0,0,0,0,0,0,0,0",
  "Training,,0,0,0,0,0,0,0,0,0,10",
  "PublicTest,fer0028638.png,0,0,0,1,1,0,8,0,0,0",
  "PrivateTest,fer0000001.png,0,1,0,0,0,0,0,9,0,0",
)


def write_files(folder, votes=VOTE_ROWS, usages=USAGES):
  """Writes both files; every pixel of an image is its row number."""
  lines = ["emotion,pixels,Usage"]
  for row, usage in enumerate(usages):
    lines.append(f"0,{' '.join([str(row)] * 2304)},{usage}")
  (folder / "fer2013.csv").write_text("\n".join(lines) + "\n")
  text = "\r\n".join([HEADER, *votes]) + "\r\n"
  (folder / "fer2013new.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())


def faces(folder, rule):
  builder = ferplus.FerPlus(data_dir=folder / "prepared", config=rule)
  return {split: list(own) for split, own in builder.faces(folder).items()}


def slow_label(votes, rule):
  """The rule's text, word by word."""
  counts = [int(count) for count in votes]
  if rule == "majority":
    for column in range(10):
      if counts[column] <= 1:
        counts[column] = 0
  top = 0
  for column in range(10):
    if counts[column] > counts[top]:
      top = column
  if rule == "majority" and not counts[top] > 0.5 * sum(counts):
    return ferplus.DROPPED
  return top if top < 8 else ferplus.DROPPED


@pytest.mark.parametrize("rule", ferplus.RULES)
@settings(deadline=None, max_examples=200)
@given(
  votes=hnp.arrays(
    np.int32,
    st.tuples(st.integers(0, 6), st.just(10)),
    elements=st.integers(0, 10),
  )
)
def test_rules_agree_with_a_plain_loop(rule, votes):
  expected = [slow_label(row, rule) for row in votes]
  assert ferplus.label_from_votes(votes, rule).tolist() == expected


@pytest.mark.parametrize(
  ("votes", "majority", "argmax"),
  [
    ((6, 0, 1, 1, 0, 0, 0, 0, 2, 0), 0, 0),
    ((5, 5, 0, 0, 0, 0, 0, 0, 0, 0), -1, 0),  # No tie has a majority.
    ((4, 0, 0, 1, 3, 2, 0, 0, 0, 0), -1, 0),  # 4 of 9.
    ((4, 0, 0, 1, 3, 1, 1, 0, 0, 0), 0, 0),  # 4 of 7: single votes fall out.
    ((0, 0, 0, 0, 0, 0, 0, 0, 6, 4), -1, -1),  # Unknown.
    ((0, 0, 0, 0, 0, 0, 0, 0, 0, 10), -1, -1),  # Not a face.
    ((0, 0, 0, 0, 0, 0, 0, 5, 5, 0), -1, 7),  # The first of equals.
    ((1, 1, 1, 1, 1, 1, 1, 1, 1, 1), -1, 0),
  ],
)
def test_rules_on_telling_rows(votes, majority, argmax):
  row = np.array([votes], np.int32)
  assert ferplus.label_from_votes(row, "majority").tolist() == [majority]
  assert ferplus.label_from_votes(row, "argmax").tolist() == [argmax]


def test_an_unknown_rule_is_refused():
  with pytest.raises(ValueError, match=r"'mean'.*majority"):
    ferplus.label_from_votes(np.zeros((1, 10), np.int32), "mean")


def test_rows_are_joined_by_position(tmp_path):
  write_files(tmp_path)
  splits = faces(tmp_path, "argmax")
  assert [face.id for face in splits["train"]] == ["fer0000000", "fer0000001"]
  assert [face.label for face in splits["train"]] == [0, 0]
  assert [face.image.max() for face in splits["train"]] == [0, 1]
  (public,) = splits["validation"]
  assert (public.id, public.label, public.image.max()) == ("fer0028638", 6, 3)


def test_a_name_that_comes_twice_stays_unique(tmp_path):
  write_files(tmp_path)
  (private,) = faces(tmp_path, "majority")["test"]
  assert (private.id, private.label) == ("fer0000001-2", 7)


def test_a_face_without_a_name_is_called_after_its_row(tmp_path):
  votes = list(VOTE_ROWS)
  votes[2] = "Training,,0,9,0,0,0,0,0,0,0,0"
  write_files(tmp_path, votes=votes)
  assert faces(tmp_path, "majority")["train"][-1].id == "Training-00002"


def test_majority_drops_what_argmax_keeps(tmp_path):
  write_files(tmp_path)
  assert len(faces(tmp_path, "majority")["train"]) == 0
  assert len(faces(tmp_path, "argmax")["train"]) == 2


def test_read_votes(tmp_path):
  write_files(tmp_path)
  usages, names, votes = ferplus.read_votes(tmp_path / "fer2013new.csv")
  assert usages == list(USAGES)
  assert names[2:4] == ["", "fer0028638"]
  assert votes.dtype == np.int32
  assert votes[0].tolist() == [4, 0, 0, 1, 3, 2, 0, 0, 0, 0]


def test_targets_are_shares_of_the_votes_for_a_class(tmp_path):
  votes = list(VOTE_ROWS)
  votes[0] = "Training,fer0000000.png,6,0,0,1,1,0,0,0,1,1"
  write_files(tmp_path, votes=votes)
  face = faces(tmp_path, "majority")["train"][0]
  np.testing.assert_allclose(face.targets, [0.75, 0, 0, *[0.125] * 2, 0, 0, 0])


def test_prepared_data_keep_the_targets(tmp_path):
  write_files(tmp_path)
  options = {
    "data_dir": str(tmp_path),
    "prepared_dir": str(tmp_path / "prepared"),
    "image_size": 48,
  }
  soft = load.load_splits("ferplus/argmax", soft_targets=True, **options)
  expected = [[0.4, 0, 0, 0.1, 0.3, 0.2, 0, 0], [0.5, 0.5, *[0] * 6]]
  np.testing.assert_allclose(soft["train"].targets, expected, rtol=1e-6)
  hard = load.load_splits("ferplus/argmax", **options)
  assert all(split.targets is None for split in hard.values())


def test_a_set_without_votes_has_no_soft_targets(tmp_path):
  with pytest.raises(ValueError, match="fer2013 has one label an image"):
    load.load_splits(
      "fer2013",
      data_dir=str(tmp_path),
      prepared_dir=str(tmp_path),
      image_size=48,
      soft_targets=True,
    )


def test_another_number_of_rows_is_refused(tmp_path):
  write_files(tmp_path, votes=VOTE_ROWS[:-1])
  with pytest.raises(ValueError, match=r"5 rows.* 4: row 5 is in one"):
    faces(tmp_path, "majority")


def test_another_usage_is_refused(tmp_path):
  write_files(tmp_path, usages=("Training", "PublicTest", *USAGES[2:]))
  with pytest.raises(ValueError, match=r"Row 2 .*'PublicTest'.*'Training'"):
    faces(tmp_path, "majority")


@pytest.mark.parametrize("votes", ["a", "-1", "1.5", "11", "", "9" * 5000])
def test_broken_votes_are_named(tmp_path, votes):
  row = f"Training,fer0000000.png,0,{votes},0,0,0,0,0,0,0,0"
  write_files(tmp_path, votes=(row, *VOTE_ROWS[1:]))
  broken = r"fer2013new\.csv, line 2: happiness has .*0 to 10"
  with pytest.raises(ValueError, match=broken):
    ferplus.read_votes(tmp_path / "fer2013new.csv")


@pytest.mark.parametrize(
  ("votes", "total"), [("0,0", 0), ("8,0", 8), ("10,1", 11), ("9,9", 18)]
)
def test_votes_that_ten_people_cannot_give_are_named(tmp_path, votes, total):
  row = f"Training,fer0000000.png,{votes},0,0,0,0,0,0,0,0"
  write_files(tmp_path, votes=(row, *VOTE_ROWS[1:]))
  with pytest.raises(ValueError, match=f"line 2: .* add up to {total}, but 10"):
    ferplus.read_votes(tmp_path / "fer2013new.csv")


@pytest.mark.parametrize("missing", ["fer2013.csv", "fer2013new.csv"])
def test_the_missing_file_is_named(tmp_path, missing):
  write_files(tmp_path)
  (tmp_path / missing).unlink()
  with pytest.raises(FileNotFoundError) as error:
    ferplus.FerPlus.source_files(tmp_path)
  place, _, how = str(error.value).partition(")")
  assert missing in place
  assert "microsoft/FERPlus" in how and "data directory" in how


def test_published_counts_add_up(tmp_path):
  totals = {
    rule: [sum(counts) for counts in published.values()]
    for rule, published in ferplus.FerPlus.PUBLISHED_COUNTS_OF_RULE.items()
  }
  assert totals == {
    "majority": [25060, 3199, 3153],
    "argmax": [28389, 3553, 3546],
  }


def test_counts_are_compared_with_those_of_the_rule(tmp_path):
  argmax = ferplus.FerPlus(data_dir=tmp_path, config="argmax")
  assert argmax.published_counts()["test"][0] == 1262
  majority = ferplus.FerPlus(data_dir=tmp_path, config="majority")
  assert majority.published_counts()["test"][0] == 1090


@pytest.mark.skipif(
  "PATTLITE_FER2013_DIR" not in os.environ,
  reason="PATTLITE_FER2013_DIR, the folder of both csv files, is not set",
)
@pytest.mark.parametrize("rule", ferplus.RULES)
def test_real_files_have_the_published_counts(tmp_path, rule):
  splits = load.load_splits(
    f"ferplus/{rule}",
    data_dir=os.environ["PATTLITE_FER2013_DIR"],
    prepared_dir=str(tmp_path),
    image_size=48,
  )
  published = ferplus.FerPlus.PUBLISHED_COUNTS_OF_RULE[rule]
  for split in ("train", "validation"):
    counts = load.class_counts(splits[split])
    assert counts.tolist() == list(published[split])
    assert len(set(splits[split].ids)) == len(splits[split])
