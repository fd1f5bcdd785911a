import os
import tracemalloc

import pytest

from pattlite_jax.predict import sources as sources_lib
from pattlite_jax.predict.sources import sources


def make(folder, *names):
  for name in names:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def shown(found, top):
  return [os.path.relpath(source.path, top) for source in found]


def test_a_folder_gives_its_pictures_and_videos_in_order(tmp_path):
  make(tmp_path, "b.JPG", "a.png", "notes.txt", "c/d.mp4", ".hidden/e.png")
  make(tmp_path, ".f.png", "c/b/x.webp")
  found = list(sources([str(tmp_path)]))
  assert shown(found, tmp_path) == ["a.png", "b.JPG", "c/d.mp4", "c/b/x.webp"]
  assert [source.is_video for source in found] == [False, False, True, False]
  assert str(found[3].copy) == "c/b/x.webp"


def test_links_that_go_round_end(tmp_path):
  make(tmp_path, "a/1.png", "b/2.png")
  (tmp_path / "a" / "up").symlink_to(tmp_path)
  (tmp_path / "a" / "b").symlink_to(tmp_path / "b")
  (tmp_path / "b" / "a").symlink_to(tmp_path / "a")
  (tmp_path / "b" / "self.png").symlink_to("self.png")
  found = shown(sources([str(tmp_path)]), tmp_path)
  assert [name.rpartition("/")[2] for name in found] == [
    *("1.png", "2.png", "self.png")
  ]


def test_what_cannot_be_looked_at_says_why(tmp_path):
  (tmp_path / "empty").mkdir()
  os.mkfifo(tmp_path / "pipe.png")
  paths = ["empty", "pipe.png", "nothing.png", "a\0b"]
  found = list(sources([str(tmp_path / path) for path in paths]))
  errors = [source.error for source in found]
  assert errors[0] == "it holds no pictures or videos"
  assert errors[1] == "it is no file"
  assert errors[2] == "no such file or directory"
  assert "null" in errors[3]


def test_standard_input_names_paths_and_cameras_are_none(tmp_path):
  make(tmp_path, "a b.png", "-c.png")
  lines = [f"{tmp_path}/a b.png\n", "\n", f"{tmp_path}/-c.png\r\n"]
  found = list(sources(["-", "camera:1"], lines))
  assert shown(found[:2], tmp_path) == ["a b.png", "-c.png"]
  assert found[2].camera == 1 and found[2].is_video
  assert not sources_lib.is_camera("camera:x")


def test_copies_of_several_paths_never_meet_nor_leave_the_folder(tmp_path):
  make(tmp_path, "x/a.png", "y/a.png")
  paths = [str(tmp_path / "x/a.png"), str(tmp_path / "x/../y/a.png")]
  copies = [source.copy for source in sources(paths)]
  assert len(set(copies)) == 2
  for copy in copies:
    assert not copy.is_absolute() and ".." not in copy.parts
  (alone,) = sources(paths[:1])
  assert str(alone.copy) == "a.png"


def test_the_folder_of_copies_is_not_entered(tmp_path):
  make(tmp_path, "a.png", "marked/a.png")
  found = sources([str(tmp_path)], without=str(tmp_path / "marked"))
  assert shown(found, tmp_path) == ["a.png"]


def test_a_name_that_is_no_text_is_shown(tmp_path):
  path = os.fsencode(tmp_path) + b"/\xff.png"
  open(path, "w").close()
  (source,) = sources([str(tmp_path)])
  assert source.shown.endswith("/\\xff.png")
  assert os.path.exists(source.path)


@pytest.mark.parametrize("count", [200, 2000])
def test_nothing_is_kept_of_what_was_looked_at(tmp_path, count):
  for number in range(count // 100):
    make(tmp_path, *(f"{number}/{name}.png" for name in range(100)))
  tracemalloc.start()
  assert sum(1 for _ in sources([str(tmp_path)])) == count
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert peak < 150_000  # Ten times the files, and the same for both.
