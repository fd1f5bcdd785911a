import numpy as np
import PIL.Image
import pytest

from pattlite_jax.data.readers import expw

LINES = (
  "angry actor_104.jpg 0 2 3 9 7 22.9 0",
  "angry actor_104.jpg 1 0 0 5 4 10.1 6",
  "b.jpg 0 1 1 4 4 99 3",
)


def write(folder, lines=LINES, images="image/origin"):
  (folder / "label").mkdir(parents=True)
  (folder / "label/label.lst").write_text("\n".join(lines) + "\n")
  (folder / images).mkdir(parents=True)
  pixels = np.zeros((10, 12, 3), np.uint8)
  pixels[2:7, 3:9] = 200
  for name in ("angry actor_104.jpg", "b.jpg"):
    PIL.Image.fromarray(pixels).save(folder / images / name, "png")


@pytest.mark.parametrize("images", ["image/origin", "origin", "image"])
def test_faces_are_cut_out(tmp_path, images):
  write(tmp_path / "ExpW", images=images)
  splits = expw.ExpW.entries(tmp_path)
  entries = {e.id: e for own in splits.values() for e in own}
  assert {i: e.label for i, e in entries.items()} == {
    "angry actor_104.jpg#0": 0,
    "angry actor_104.jpg#1": 6,
    "b.jpg#0": 3,
  }
  face = expw.ExpW.read(entries["angry actor_104.jpg#0"])
  assert face.shape == (5, 6, 3)  # Top 2, left 3, right 9, bottom 7.
  assert (face == 200).all()
  names = [path.name for path in expw.ExpW.source_files(tmp_path)]
  assert names[0] == "label.lst" and len(names) == 3


def test_faces_of_one_picture_stay_together(tmp_path):
  lines = [f"b.jpg {k} 0 0 4 4 9 {k % 7}" for k in range(30)]
  write(tmp_path, [*lines, *LINES[:2]])
  splits = expw.ExpW.entries(tmp_path)
  places = [{e.path.name for e in own} for own in splits.values()]
  assert sum(map(len, places)) == 2


def test_a_box_outside_the_picture_gives_the_picture(tmp_path):
  write(tmp_path, ["b.jpg 0 50 50 60 60 9 1", "b.jpg 1 -3 -3 5 4 9 1"])
  splits = expw.ExpW.entries(tmp_path)
  shapes = {
    e.id: expw.ExpW.read(e).shape for own in splits.values() for e in own
  }
  assert shapes == {"b.jpg#0": (10, 12, 3), "b.jpg#1": (4, 5, 3)}


@pytest.mark.parametrize(
  "line",
  ["b.jpg 0 1 1 4 4 99 7", "b.jpg 0 1 1 4 4 3", "b.jpg", "b.jpg 0 x 1 4 4 9 1"],
)
def test_a_broken_line_is_named(tmp_path, line):
  write(tmp_path, [LINES[0], line])
  with pytest.raises(ValueError, match=r"label\.lst, line 2 is .*0 to 6"):
    expw.ExpW.source_files(tmp_path)


def test_a_missing_picture_is_named(tmp_path):
  write(tmp_path, ["c.jpg 0 1 1 4 4 99 3"])
  with pytest.raises(FileNotFoundError, match=r"c\.jpg"):
    expw.ExpW.source_files(tmp_path)


def test_missing_files_say_where_to_get_them(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"mmlab.*data directory"):
    expw.ExpW.source_files(tmp_path)


def test_published_counts_add_up():
  assert sum(expw.ExpW.PUBLISHED_COUNTS["all"]) == 91793
