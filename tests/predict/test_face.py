"""What a person calls a face works, or one line says what to do."""

import io
import pathlib

import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from pattlite_jax.data.readers import image_file
from pattlite_jax.predict import face as face_lib
from pattlite_jax.runtime.errors import UserError

SHAPE = (16, 12, 1)


@pytest.fixture
def ramp():
  return np.tile(np.arange(16, dtype=np.uint8)[:, None] * 16, (1, 12))


def test_faces_become_what_training_saw(ramp):
  same = face_lib.like_training(ramp, SHAPE)
  np.testing.assert_array_equal(same[..., 0], ramp)
  large = ramp.repeat(4, 0).repeat(4, 1)
  shrunk = face_lib.like_training(large, SHAPE)[..., 0]
  assert np.abs(shrunk.astype(int) - ramp)[1:-1].max() <= 3
  # A fine checkerboard is averaged; without a filter it would be 0 or 255.
  board = np.indices((64, 48)).sum(0) % 2 * np.uint8(255)
  grey = face_lib.like_training(board.astype(np.uint8), SHAPE)
  assert grey.min() > 120 and grey.max() < 135


@pytest.mark.parametrize(
  ("crop", "expected"),
  [
    ([[1, 9]] * 4, [[5, 1, 9, 5]] * 4),
    ([[1, 1, 1, 1], [9, 9, 9, 9]], [[5] * 4, [1] * 4, [9] * 4, [5] * 4]),
    ([[7]], [[7] * 4] * 4),
  ],
)
def test_what_a_crop_lacks_is_filled_with_its_mean(crop, expected):
  found = face_lib.like_training(np.array(crop, np.uint8), (4, 4, 1))
  np.testing.assert_array_equal(found[..., 0], expected)


def test_a_crop_of_another_shape_is_filled_in_colours_and_to_any_shape():
  crop = np.zeros((6, 2, 3), np.uint8)
  crop[:3] = [30, 60, 90]
  found = image_file.filled(crop, 12, 16)  # As 3 to 4.
  assert found.shape == (6, 8, 3)
  np.testing.assert_array_equal(found[:, 3:5], crop)
  assert (found[:, [0, 1, 2, 5, 6, 7]] == [15, 30, 45]).all()
  assert image_file.filled(crop, 3, 1) is crop


def test_a_long_strip_is_filled_in_little_memory(monkeypatch):
  monkeypatch.setattr(image_file, "MAX_PIXELS", 10_000)
  strip = np.full((3, 1000, 3), 40, np.uint8)
  strip[1, :500] = 70
  found = image_file.filled(strip, 1, 1)
  assert found.shape == (100, 100, 3)  # Instead of 1000 x 1000.
  row = found[49]  # The strip: a mean of its three rows.
  assert row[:49].min() > 45 and row[:49].max() < 60
  assert set(row[51:].ravel()) == {40}
  tall = strip.transpose(1, 0, 2)
  np.testing.assert_array_equal(
    image_file.filled(tall, 1, 1), found.transpose(1, 0, 2)
  )
  # To any shape, even where nothing but a line is left.
  for crop in (strip[:1], tall[:, :1], np.full((1, 9999, 1), 7, np.uint8)):
    rows, columns, _ = image_file.filled(crop, 3, 4).shape
    assert rows * columns <= 10_000 and rows == pytest.approx(
      0.75 * columns, abs=1
    )


def test_colours():
  red = np.zeros((5, 5, 3), np.uint8)
  red[..., 0] = 200
  luma = PIL.Image.new("RGB", (1, 1), (200, 0, 0)).convert("L").getpixel((0, 0))
  assert set(face_lib.like_training(red, (4, 4, 1)).ravel()) == {luma}
  np.testing.assert_array_equal(
    face_lib.like_training(red[..., :1], (4, 4, 3)), np.full((4, 4, 3), 200)
  )


@pytest.mark.parametrize(
  "mode",
  [
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBX",
    "RGBa",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I;16",
  ],
)
def test_a_picture_of_any_mode_is_what_its_grey_copy_is(mode, ramp):
  grey = PIL.Image.fromarray(np.where(ramp > 99, 255, 0).astype(np.uint8))
  if mode == "I;16":
    picture = PIL.Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
  elif mode in ("LAB",):
    lightness = grey, PIL.Image.new("L", grey.size, 128)
    picture = PIL.Image.merge("LAB", (lightness[0], *[lightness[1]] * 2))
  else:
    through = {"PA": "P", "La": "LA", "RGBa": "RGBA"}.get(mode)
    start = grey.convert("RGB") if mode not in ("1", "LA", "La") else grey
    picture = (start.convert(through) if through else start).convert(mode)
  assert picture.mode == mode
  found = face_lib.like_training(picture, SHAPE)[..., 0]
  assert np.abs(found.astype(int) - np.asarray(grey)).max() <= 2


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_32_bits_have_no_known_range(mode):
  with pytest.raises(UserError, match=r"A face cannot be used.*32 bits"):
    face_lib.like_training(PIL.Image.new(mode, (4, 4)), SHAPE)


def test_what_is_transparent_is_white():
  clear = np.zeros((16, 12, 4), np.uint8)
  assert (face_lib.like_training(clear, SHAPE) == 255).all()
  clear[..., 3] = 255
  assert (face_lib.like_training(clear, SHAPE) == 0).all()


def test_a_path_is_a_face(ramp, tmp_path):
  PIL.Image.fromarray(ramp).save(tmp_path / "face.png")
  for path in (tmp_path / "face.png", str(tmp_path / "face.png")):
    assert face_lib.is_one(path)
    found = face_lib.like_training(path, SHAPE)
    np.testing.assert_array_equal(found[..., 0], ramp)
  with pytest.raises(FileNotFoundError):
    face_lib.like_training(tmp_path / "none.png", SHAPE)
  (tmp_path / "text.png").write_text("no picture")
  with pytest.raises(UserError, match=r"text\.png cannot be decoded"):
    face_lib.like_training(str(tmp_path / "text.png"), SHAPE)


@pytest.mark.parametrize(
  "library", [np.asarray, jnp.asarray, tf.constant, tf.Variable]
)
def test_arrays_of_any_library_are_faces(library, ramp):
  face = library(ramp)
  assert face_lib.is_one(face)
  found = face_lib.like_training(face, SHAPE)
  np.testing.assert_array_equal(found[..., 0], ramp)


@pytest.mark.parametrize(
  ("face", "words"),
  [
    (None, "OpenCV's imread"),
    (b"jpeg", "io.BytesIO"),
    (np.zeros((4, 4), np.float32), r"float32.*\(255 \* face\)"),
    (np.zeros((4, 4), np.int64), r"int64.*uint8 in 0 to 255"),
    (np.zeros(4, np.uint8), r"\(4,\)"),
    (np.zeros((2, 4, 5), np.uint8), r"\[N, H, W, 1\]"),
    (np.zeros((3, 4, 5), np.uint8), r"transpose\(1, 2, 0\)"),
    (np.zeros((0, 4), np.uint8), r"\(0, 4\)"),
    (np.zeros((2, 4, 4, 4, 1), np.uint8), r"\(2, 4, 4, 4, 1\)"),
    ([[1, 2], [3]], "list that NumPy cannot read"),
    ({"face": 1}, "A face is of type dict; pass uint8"),
    ({"a.png"}, "A face is of type set; pass uint8"),
    (7, "A face is of type int; pass uint8"),
    pytest.param(
      io.BytesIO(b"jpeg"),
      r"an open file; pass PIL\.Image\.open",
      id="open file",
    ),
    ("https://x.org/a.png", r"neither of this machine .* Download it"),
    (pathlib.Path("nowhere.png"), "nowhere.png"),
  ],
  ids=str,
)
def test_what_is_no_face_is_refused_in_one_line(face, words):
  with pytest.raises((UserError, FileNotFoundError), match=words) as caught:
    face_lib.like_training(face, SHAPE)
  assert "\n" not in str(caught.value)


def test_a_batch_or_a_list_is_not_one_face():
  batch = np.zeros((2, 4, 4, 1))
  for faces in ([1], (1,), iter([1]), range(2), {1: 2}.values(), batch):
    assert not face_lib.is_one(faces)


def test_an_array_of_paths_is_a_list_of_them(ramp, tmp_path):
  path = tmp_path / "face.png"
  PIL.Image.fromarray(ramp).save(path)
  for dtype in (str, object):
    paths = np.array([str(path)] * 2, dtype)
    assert not face_lib.is_one(paths)
    for own in paths:
      assert face_lib.like_training(own, SHAPE).shape == SHAPE


def test_what_holds_no_faces_in_an_order_is_one():
  for face in (7, {1: 2}, {1}, "a", b"a", io.BytesIO(b"a")):
    assert face_lib.is_one(face)
