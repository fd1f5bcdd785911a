"""The one way from an image file to pixels, for every data set.

The content of a file counts, not its name's ending. Of an animation the first
frame is taken. A turn that EXIF asks for is made, colour tables become colours,
16 bits become 8 by their range, what is transparent is laid on white. Colour
profiles are not applied.
"""

from __future__ import annotations

import io
import math
import pathlib
import warnings

import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.ImageOps

from pattlite_jax.data import user_files
from pattlite_jax.runtime.array_types import UInt8
from pattlite_jax.runtime.errors import UserError

# Others are left out: some of Pillow's readers start programs (EPS). The rare
# ones are tried last, as Pillow loads their libraries; it may lack them.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
_RARE_FORMATS = ("AVIF", "JPEG2000")
# Modes that Pillow converts to others only by way of these.
_ON_THE_WAY = {
  "La": "LA",
  "RGBa": "RGBA",
  "PA": "RGBA",
  "CMYK": "RGB",
  "HSV": "RGB",
  "YCbCr": "RGB",
}
MAX_PIXELS = 64_000_000  # Width x height: 192 MB as RGB.
# Pillow warns of 89 million pixels and more, which `MAX_PIXELS` refuses. Not in
# `read_image`: threads share the filters.
warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)


class BadImageError(UserError):
  """A file that is no whole picture."""


def read_image(
  path: user_files.Path, channels: int
) -> UInt8[np.ndarray, "H W {channels}"]:
  """Returns the picture in a file as grey (1 channel) or RGB (3 channels).

  Raises:
    FileError: if the file cannot be opened.
    BadImageError: if it is no whole picture, has more than `MAX_PIXELS` pixels,
      or has pixels that are not of 1 to 16 bits; names it.
  """
  if isinstance(path, pathlib.Path) and path.is_symlink() and not path.exists():
    raise _error(path, "it is a link to no file")
  if isinstance(path, pathlib.Path) and path.exists() and not path.is_file():
    raise _error(path, "it is no plain file")  # A pipe would be waited for.
  with user_files.open_bytes(path) as file:
    try:
      if not file.read(1):
        raise UserError("it is empty")
      file.seek(0)
      with _open(file) as picture:
        return _pixels(picture, channels)
    except PIL.UnidentifiedImageError as error:
      known = ", ".join(sorted(_FORMATS + _RARE_FORMATS))
      raise _error(path, f"it is not one of {known}") from error
    except PIL.Image.DecompressionBombError as error:
      raise _error(path, f"it has more than {MAX_PIXELS:,} pixels") from error
    except Exception as error:  # Broken files make Pillow raise any kind.
      raise _error(path, _reason(error)) from error


def _open(file: io.BufferedReader | io.BytesIO) -> PIL.Image.Image:
  try:
    return PIL.Image.open(file, formats=_FORMATS)
  except PIL.UnidentifiedImageError:
    PIL.Image.init()
    there = [name for name in _RARE_FORMATS if name in PIL.Image.OPEN]
    return PIL.Image.open(file, formats=there)


def pixels(
  picture: PIL.Image.Image, channels: int, name: str
) -> UInt8[np.ndarray, "H W {channels}"]:
  """Returns the pixels of an open picture of any mode, as `read_image` does.

  Raises:
    UserError: as `read_image`; begins with `name`.
  """
  try:
    return _pixels(picture, channels)
  except Exception as error:  # It may be read only now, and be broken.
    raise UserError(f"{name} cannot be used: {_reason(error)}.") from error


def filled(
  pixels: UInt8[np.ndarray, "h w C"], height: int, width: int
) -> UInt8[np.ndarray, "_ _ C"]:
  """Returns a crop in the middle of its mean colour, as `height` to `width`.

  Stretched instead, 0.9 to 0.6 of a face's height costs 1 to 26 points of
  accuracy more (results/cut/ferplus_shape.json). A strip so long that it would
  be filled to more than `MAX_PIXELS` is averaged to fewer pixels before.
  """
  rows, columns = pixels.shape[:2]
  lacking = (
    max(round(columns * height / width) - rows, 0),
    max(round(rows * width / height) - columns, 0),
  )
  if lacking == (0, 0):
    return pixels
  too_large = (rows + lacking[0]) * (columns + lacking[1]) / MAX_PIXELS
  if too_large > 1:
    share = 1 / math.sqrt(too_large)
    size = (max(1, math.floor(share * n)) for n in (rows, columns))
    return filled(resized(pixels, *size), height, width)
  top, left = (n // 2 for n in lacking)
  mean = pixels.reshape(-1, pixels.shape[2]).mean(axis=0).round()
  canvas = np.empty(
    (rows + lacking[0], columns + lacking[1], pixels.shape[2]), np.uint8
  )
  canvas[:] = mean
  canvas[top : top + rows, left : left + columns] = pixels
  return canvas


def resized(
  pixels: UInt8[np.ndarray, "H W C"], height: int, width: int
) -> UInt8[np.ndarray, "{height} {width} C"]:
  """Returns a picture of this size; each pixel of a smaller one is a mean."""
  channels = pixels.shape[2]
  picture = PIL.Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
  # Pillow's filter covers all pixels of what it makes smaller.
  picture = picture.resize((width, height), PIL.Image.Resampling.BILINEAR)
  return np.asarray(picture).reshape(height, width, channels)


def _pixels(
  picture: PIL.Image.Image, channels: int
) -> UInt8[np.ndarray, "H W {channels}"]:
  _check_size(*picture.size)
  upright = PIL.ImageOps.exif_transpose(picture)
  made = _eight_bits(upright).convert({1: "L", 3: "RGB"}[channels])
  return np.asarray(made).reshape(made.height, made.width, channels)


def _reason(error: Exception) -> str:
  return " ".join(str(error).split()) or type(error).__name__


def _check_size(width: int, height: int) -> None:
  """Raises UserError for a size, as declared, that is not to be decoded."""
  if not 0 < width * height <= MAX_PIXELS:
    raise UserError(
      f"it is {height} x {width} pixels, but must have 1 to {MAX_PIXELS:,}"
    )


def _eight_bits(picture: PIL.Image.Image) -> PIL.Image.Image:
  """Returns a picture without transparency, with at most 8 bits a channel."""
  if picture.mode.startswith("I;16"):
    # Pillow's convert would turn everything above 255 white.
    wide = np.asarray(picture).astype(np.uint32)
    return PIL.Image.fromarray(((wide + 128) // 257).astype(np.uint8))
  if picture.mode in ("I", "F"):
    raise UserError(
      "its pixels have 32 bits, whose range is not known; make them 8 bits, "
      "uint8 in 0 to 255"
    )
  if picture.mode == "LAB":
    return _from_lab(picture)
  picture = picture.convert(_ON_THE_WAY.get(picture.mode, picture.mode))
  if picture.has_transparency_data:
    white = PIL.Image.new("RGBA", picture.size, "white")
    return PIL.Image.alpha_composite(white, picture.convert("RGBA"))
  return picture


def _from_lab(picture: PIL.Image.Image) -> PIL.Image.Image:
  lab, rgb = (PIL.ImageCms.createProfile(name) for name in ("LAB", "sRGB"))
  transform = PIL.ImageCms.buildTransform(lab, rgb, "LAB", "RGB")
  converted = PIL.ImageCms.applyTransform(picture, transform)
  assert converted is not None  # As it would be if it were done in place.
  return converted


def _error(path: user_files.Path, reason: str) -> BadImageError:
  return BadImageError(
    f"{path} cannot be decoded as an image: {reason}. Replace the file."
  )
