"""The look at a data set before training, as a user starts it."""

import json

import numpy as np
import PIL.Image
import pytest
from absl import flags

from pattlite_jax import inspect
from pattlite_jax.data import contact_sheet, overview, packed


@pytest.fixture
def run(capsys):
  def run(**given):
    values = flags.FlagValues()
    inspect.define_flags(values)
    values(["inspect", *(f"--{k}={v}" for k, v in given.items())])
    with pytest.raises(SystemExit) as ended:
      inspect.main(["inspect"], values)
    return ended.value.code, capsys.readouterr()

  return run


def write_own(folder):
  """Writes 3 splits of 2 classes; one image of test is in train, too."""
  rng = np.random.default_rng(0)
  for number, name in enumerate(
    ("train/a/1.png", "train/a/2.JPG", "train/b/3", "val/b/4.png")
  ):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 256, (16 + number, 16), np.uint8)
    PIL.Image.fromarray(pixels).save(path, "png")
  (folder / "test/b").mkdir(parents=True)
  content = (folder / "train/a/1.png").read_bytes()
  (folder / "test/b/5.png").write_bytes(content)
  (folder / "train/a/notes.txt").touch()


def test_it_prints_what_is_there(run, tmp_path):
  write_own(tmp_path / "own")
  status, printed = run(
    dataset="folders",
    data_dir=tmp_path / "own",
    image_size=16,
    sheets=tmp_path / "sheets",
    json=tmp_path / "found.json",
  )
  assert status == 0
  lines = printed.out.splitlines()
  assert lines[0] == "folders: 5 files"
  assert "  note: the class a has no image in validation and test." in lines
  assert any("notes.txt" in line for line in lines)
  assert "images of 4 sizes, 16 to 19 pixels high and 16 to 16 wide; most " in (
    printed.out
  )
  assert "a network gets 16 x 16 pixels, grey" in lines
  table = [line.split() for line in lines]
  assert ["a", "2", "0", "0"] in table and ["b", "1", "1", "1"] in table
  assert "1 test images are in train" in printed.out
  assert "1 of the pairs have different classes" in printed.out
  names = sorted(path.name for path in (tmp_path / "sheets").iterdir())
  assert names == ["0_a.png", "1_b.png"]
  found = json.loads((tmp_path / "found.json").read_text())
  assert found["splits"]["train"] == [2, 1]


def test_all_broken_images_are_named(run, tmp_path):
  write_own(tmp_path)
  (tmp_path / "train/a/2.JPG").write_bytes(b"")
  (tmp_path / "val/b/4.png").write_bytes(b"nothing")
  status, printed = run(dataset="folders", data_dir=tmp_path)
  assert status == 1
  assert "broken images: 2" in printed.out
  assert "2.JPG cannot be decoded" in printed.out
  assert "4.png cannot be decoded" in printed.out
  assert "--on_bad_image=skip leaves them out" in printed.out
  assert "a network gets" not in printed.out
  status, printed = run(
    dataset="folders", data_dir=tmp_path, on_bad_image="skip"
  )
  assert status == 1
  assert "broken images: 2" in printed.out
  assert "a network gets" in printed.out


def test_many_broken_images_are_counted():
  found = {
    "dataset": "folders",
    "files": 40,
    "remarks": [],
    "broken": [f"{k} is broken" for k in range(30)],
    "sizes": [],
  }
  lines = overview.file_lines(found)
  assert "broken images: 30" in lines
  assert lines[-1] == "  and 20 more (--json has all)"
  assert len(lines) < 15


def test_a_packed_set_needs_no_files(run, tmp_path, make_examples):
  path = tmp_path / "a.npz"
  splits = {"train": make_examples(12), "test": make_examples(6, seed=1)}
  packed.write(path, "fer2013", splits)
  status, printed = run(packed=path, classes="anger,happiness")
  assert status == 0
  assert "a network gets 16 x 16 pixels, grey" in printed.out
  assert "disgust" not in printed.out


def test_what_is_missing_is_said_in_one_line(run, tmp_path):
  status, printed = run(dataset="folders", data_dir=tmp_path / "none")
  assert status == 1
  assert "There is no such folder" in printed.err
  assert "--data_dir=<folder>" in printed.err
  assert printed.err.count("\n") == 1


def test_a_sheet_shows_images_of_its_class_alone(make_examples):
  splits = {"train": make_examples(300), "test": make_examples(9, seed=1)}
  for label in range(3):
    picture = np.asarray(contact_sheet.sheet(splits, label).convert("L"))
    tile = picture[28 + 4 + 20 : 28 + 4 + 70, 4 + 20 : 4 + 70]
    # The brightness of `make_examples` tells the class.
    assert 90 * label <= tile.min() and tile.max() <= 90 * label + 60
  rows = (picture.shape[0] - 28 - 4) // 100
  assert rows == contact_sheet.ROWS


def test_a_class_without_images_has_no_sheet(make_examples):
  examples = make_examples(12)
  few = examples.take(np.flatnonzero(examples.labels != 1))
  assert contact_sheet.sheet({"train": few}, 1) is None
  (row,) = np.flatnonzero(examples.labels == 1)[:1]
  one = contact_sheet.sheet({"train": examples.take(np.array([row]))}, 1)
  assert one.height == 28 + 100 + 4
