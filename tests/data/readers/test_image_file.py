"""What becomes of unusual and broken image files."""

import io
import os
import struct
import zlib

import numpy as np
import PIL.features
import PIL.Image
import pytest

from pattlite_jax.data.readers import image_folder
from pattlite_jax.data.readers.image_file import (
  MAX_PIXELS,
  BadImageError,
  read_image,
)

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREYS = RNG.integers(0, 256, (6, 9), dtype=np.uint8)


def encoded(picture, kind="PNG", **options):
  file = io.BytesIO()
  picture.save(file, kind, **options)
  return file.getvalue()


@pytest.fixture
def read(tmp_path):
  """Returns f(bytes, channels) -> pixels; the file's name says nothing."""

  def read_bytes(content, channels=3):
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    return read_image(path, channels)

  return read_bytes


@pytest.fixture
def refused(read):
  """Returns a check that bytes are refused in one line naming the file."""

  def check(content, reason):
    with pytest.raises(ValueError, match=reason) as error:
      read(content)
    assert "picture.jpg cannot be decoded as an image: " in str(error.value)
    assert "\n" not in str(error.value)

  return check


@pytest.mark.parametrize("kind", ["BMP", "PNG", "TIFF"])
def test_the_content_counts_not_the_name(read, kind):
  content = encoded(PIL.Image.fromarray(COLOURS), kind)
  np.testing.assert_array_equal(read(content), COLOURS)
  content = encoded(PIL.Image.fromarray(GREYS), kind)
  np.testing.assert_array_equal(read(content, 1), GREYS[..., None])
  np.testing.assert_array_equal(read(content), np.stack([GREYS] * 3, -1))


def test_a_palette_becomes_its_colours(read):
  picture = PIL.Image.fromarray(COLOURS).quantize(256)
  assert picture.mode == "P"
  np.testing.assert_array_equal(read(encoded(picture)), COLOURS)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_become_8_by_their_range(read, kind):
  picture = PIL.Image.fromarray(GREYS.astype(np.uint16) * 257)
  np.testing.assert_array_equal(
    read(encoded(picture, kind), 1), GREYS[..., None]
  )


def test_32_bits_are_refused(refused):
  for dtype in (np.int32, np.float32):
    picture = PIL.Image.fromarray(GREYS.astype(dtype))
    refused(encoded(picture, "TIFF"), "32 bits")


def test_inks_become_colours(read):
  inks = np.zeros((6, 9, 4), np.uint8)
  inks[..., :3] = 255 - COLOURS
  content = encoded(PIL.Image.fromarray(inks, "CMYK"), "TIFF")
  np.testing.assert_array_equal(read(content), COLOURS)
  content = encoded(PIL.Image.new("CMYK", (9, 6), (0, 255, 255, 0)), "JPEG")
  np.testing.assert_allclose(read(content)[0, 0], [255, 0, 0], atol=3)


def test_what_is_transparent_is_white(read):
  alpha = np.where(np.arange(9) < 4, 255, 0) * np.ones((6, 1), int)
  for picture in (COLOURS, GREYS):
    image = PIL.Image.fromarray(picture)
    image.putalpha(PIL.Image.fromarray(alpha.astype(np.uint8)))
    assert image.mode in ("RGBA", "LA")
    pixels = read(encoded(image), 3 if picture is COLOURS else 1)
    expected = np.where(alpha[..., None], np.atleast_3d(picture), 255)
    np.testing.assert_array_equal(pixels, expected)


def test_a_transparent_palette_entry_is_white(read):
  picture = PIL.Image.new("P", (2, 1), 0)
  picture.putpalette([10, 20, 30, 40, 50, 60])
  picture.putpixel((1, 0), 1)
  pixels = read(encoded(picture, transparency=1))
  assert pixels.tolist() == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken(read, kind):
  frames = [PIL.Image.new("RGB", (9, 6), (k, k, k)) for k in (0, 120, 255)]
  options = {"lossless": True} if kind == "WEBP" else {}
  content = encoded(
    frames[0], kind, save_all=True, append_images=frames[1:], **options
  )
  with PIL.Image.open(io.BytesIO(content)) as picture:
    assert picture.n_frames == 3
  assert read(content).shape == (6, 9, 3)
  assert not read(content).any()


@pytest.mark.parametrize(
  ("kind", "feature", "options"),
  [
    ("AVIF", "avif", {"quality": 100, "subsampling": "4:4:4"}),
    ("JPEG2000", "jpg_2000", {}),
    ("JPEG2000", "jpg_2000", {"no_jp2": True}),
  ],
)
def test_rare_formats_are_read_where_pillow_can(
  read, tmp_path, kind, feature, options
):
  if not PIL.features.check(feature):
    pytest.skip(f"This Pillow was built without {kind}.")
  content = encoded(PIL.Image.fromarray(COLOURS), kind, **options)
  pixels = read(content).astype(int)
  np.testing.assert_allclose(pixels, COLOURS, atol=8 if kind == "AVIF" else 0)
  (tmp_path / "picture").write_bytes(content)
  assert image_folder.is_image(tmp_path / "picture")


@pytest.mark.parametrize(
  ("orientation", "turned"),
  [
    (1, COLOURS),
    (2, COLOURS[:, ::-1]),
    (3, COLOURS[::-1, ::-1]),
    (6, np.rot90(COLOURS, -1)),
    (8, np.rot90(COLOURS)),
  ],
)
def test_the_turn_of_exif_is_made(read, orientation, turned):
  exif = PIL.Image.Exif()
  exif[0x0112] = orientation
  content = encoded(PIL.Image.fromarray(COLOURS), exif=exif)
  np.testing.assert_array_equal(read(content), turned)


def png(width, height, depth=8, rows=b""):
  """Writes a grey PNG by hand, as Pillow writes no impossible ones."""
  chunks = b"\x89PNG\r\n\x1a\n"
  header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
  for kind, body in (
    (b"IHDR", header),
    (b"IDAT", zlib.compress(rows)),
    (b"IEND", b""),
  ):
    check = struct.pack(">I", zlib.crc32(kind + body))
    chunks += struct.pack(">I", len(body)) + kind + body + check
  return chunks


def test_the_handmade_png_is_read(read):
  rows = b"".join(b"\0" + row.tobytes() for row in GREYS)
  np.testing.assert_array_equal(read(png(9, 6, rows=rows), 1), GREYS[..., None])


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [8001, 9900, 60_000, 2**31 - 1])
def test_a_huge_picture_is_refused_by_what_it_declares(refused, side):
  assert side**2 > MAX_PIXELS
  # Were it decoded, the error would be that its rows are missing.
  refused(png(side, side, depth=1), "pixels")


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_a_picture_of_no_size_is_refused(refused, size):
  refused(png(*size), "0.* pixels, but must have 1 to|not one of")


def test_what_is_no_picture_is_refused(refused):
  refused(b"", "it is empty")
  refused(b"<html>404</html>", "not one of AVIF, BMP, GIF, JPEG, ")
  postscript = encoded(PIL.Image.fromarray(COLOURS), "EPS")  # A program.
  refused(postscript, "not one of")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="No pipes here.")
def test_a_pipe_is_not_waited_for(tmp_path):
  os.mkfifo(tmp_path / "pipe.jpg")
  with pytest.raises(BadImageError, match="it is no plain file"):
    read_image(tmp_path / "pipe.jpg", 3)
  with pytest.raises(BadImageError, match="it is no plain file"):
    read_image(tmp_path, 3)


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_a_cut_file_is_refused(refused, kind):
  noise = RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8)
  content = encoded(PIL.Image.fromarray(noise), kind)
  for length in (1, 10, len(content) // 2, len(content) - 30):
    refused(content[:length], ".")


def test_a_missing_file_is_an_os_error(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"absent\.png"):
    read_image(tmp_path / "absent.png", 3)
