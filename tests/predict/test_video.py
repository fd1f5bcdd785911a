"""Frames of videos that the test writes."""

import os

import numpy as np
import pytest

from pattlite_jax.predict import video
from pattlite_jax.predict.sources import sources
from pattlite_jax.runtime.errors import UserError

COUNT, FPS = 40, 20.0


@pytest.fixture(scope="module")
def path(tmp_path_factory):
  """A video whose frames become brighter."""
  path = tmp_path_factory.mktemp("video") / "made.mp4"
  with video.Writer(str(path), FPS) as writer:
    for number in range(COUNT):
      pixels = np.full((32, 48, 3), 6 * number, np.uint8)
      pixels[..., 2] = 0  # No blue.
      writer.write(pixels)
  return path


def opened(path):
  (source,) = sources([str(path)])
  return video.Video(source)


def test_frames_come_in_order_with_their_times_and_colours(path):
  with opened(path) as made:
    frames = list(made.frames())
    assert made.fps == FPS and made.expected == COUNT
    assert made.warning() == ""
  assert [frame.number for frame in frames] == list(range(COUNT))
  times = np.arange(COUNT) / FPS
  np.testing.assert_allclose([f.time_s for f in frames], times, atol=1e-3)
  for frame in frames[10:]:
    assert frame.pixels.shape == (32, 48, 3)
    np.testing.assert_allclose(frame.pixels[..., 0], 6 * frame.number, atol=12)
    assert frame.pixels[..., 2].max() < 40


@pytest.mark.parametrize(
  "options, expected",
  [
    ({"every": 7}, range(0, COUNT, 7)),
    ({"fps": 5.0}, range(0, COUNT, 4)),
    ({"fps": 100.0}, range(COUNT)),
    ({"fps": 0.5}, [0]),
  ],
)
def test_some_frames_of_it(path, options, expected):
  with opened(path) as made:
    assert [f.number for f in made.frames(**options)] == list(expected)


@pytest.mark.parametrize("kept", [0.5, 0.93])
def test_a_file_that_was_cut_off_gives_what_it_has_and_says_so(
  path, tmp_path, kept
):
  cv2 = pytest.importorskip("cv2")
  # An AVI has its index at its end, and is read without it.
  whole = tmp_path / "whole.avi"
  code = cv2.VideoWriter.fourcc(*"MJPG")
  writer = cv2.VideoWriter(str(whole), code, FPS, (160, 120))
  rng = np.random.default_rng(0)
  for _ in range(COUNT):
    writer.write(rng.integers(0, 255, (120, 160, 3), np.uint8))
  writer.release()
  content = whole.read_bytes()
  (tmp_path / "cut.avi").write_bytes(content[: round(kept * len(content))])
  with opened(tmp_path / "cut.avi") as made:
    count = sum(1 for _ in made.frames())
    assert 0 < count < COUNT
    assert made.warning() == f"it is cut off: {count} of about 40 frames"


def test_a_name_that_opencv_cannot_take_is_refused(path, tmp_path):
  odd = tmp_path / os.fsdecode(b"z\xff.mp4")
  odd.write_bytes(path.read_bytes())
  with pytest.raises(UserError, match="its name is not UTF-8"):
    opened(odd)
  with pytest.raises(UserError, match="its name is not UTF-8"):
    video.Writer(str(odd), FPS)


def test_what_is_no_video_is_refused(path, tmp_path):
  (tmp_path / "text.mp4").write_text("no video")
  (tmp_path / "empty.mp4").touch()
  content = path.read_bytes()  # MP4 has its index at its end.
  (tmp_path / "half.mp4").write_bytes(content[: len(content) // 2])
  for name in ("text", "empty", "half"):
    with pytest.raises(UserError, match=r"no video.*or has lost its index"):
      opened(tmp_path / f"{name}.mp4")
  (camera,) = sources(["camera:97"])
  with pytest.raises(UserError, match="no such camera"):
    video.Video(camera)
