"""The images in a folder, told by what is in the files, not by their names."""

import pathlib

from pattlite_jax.data import user_files
from pattlite_jax.data.readers import listing

_MAGIC = (
  b"\xff\xd8\xff",  # JPEG
  b"\x89PNG\r\n\x1a\n",
  b"GIF87a",
  b"GIF89a",
  b"II*\0",  # TIFF
  b"MM\0*",
  b"\0\0\0\x0cjP  \r\n\x87\n",  # JPEG 2000
  b"\xff\x4f\xff\x51",  # JPEG 2000 without a container
)
_BMP_HEADERS = {bytes([size, 0, 0, 0]) for size in (12, 40, 52, 56, 108, 124)}
# A file with such an ending promises a picture: what is wrong in it is an
# error that names it.
ENDINGS = {
  ".avif", ".bmp", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
  ".png", ".tif", ".tiff", ".webp",
}  # fmt: skip


def is_image(path: user_files.Path) -> bool:
  """Whether a file's name or its first bytes are those of a picture."""
  if path.suffix.lower() in ENDINGS:
    return True
  start = _first_bytes(path)
  is_webp = start[:4] == b"RIFF" and start[8:12] == b"WEBP"
  # Two letters are too little to tell a BMP: its second header's size follows.
  is_bmp = start[:2] == b"BM" and start[14:18] in _BMP_HEADERS
  is_avif = start[4:12] in (b"ftypavif", b"ftypavis")
  return is_webp or is_bmp or is_avif or start.startswith(_MAGIC)


def images(folder: user_files.Path) -> list[user_files.Path]:
  """Returns the images that lie in a folder itself, by name."""
  return [
    path
    for path in listing.children(folder)
    if not path.is_dir() and is_image(path)
  ]


def images_below(folder: user_files.Path) -> list[user_files.Path]:
  """Returns the images at any depth of a folder, folder by folder."""
  return [path for path in listing.files_below(folder) if is_image(path)]


def _first_bytes(path: user_files.Path) -> bytes:
  """Returns 18 bytes, and nothing of a pipe or device, which might block."""
  if isinstance(path, pathlib.Path) and not path.is_file():
    return b""
  with path.open("rb") as file:
    return file.read(18)
