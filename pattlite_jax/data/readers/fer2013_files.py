"""Finds FER2013's csv as people keep it, and opens it, packed or not."""

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from pattlite_jax.data import user_files
from pattlite_jax.data.readers import listing
from pattlite_jax.runtime.errors import UserError

CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
KAGGLE_TRAIN = "train.csv"  # Kaggle's other form, beside a test.csv.
# What the names of archives that may hold the csv begin with; others are not
# opened, as it takes long to look through a large one.
_ARCHIVE_STEMS = (
  "fer2013",
  "ferplus",
  "icml_face_data",
  "archive",
  "challenges-in-representation-learning",
)
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_TAR_MARK = slice(257, 262)  # Of the first file's header.
_BROKEN = (
  EOFError,
  OSError,  # What bz2 raises, and gzip's own kind.
  lzma.LZMAError,
  tarfile.TarError,
  zipfile.BadZipFile,
  zlib.error,
)


def find(
  data_dir: user_files.Path, names: tuple[str, ...] = CSV_NAMES
) -> user_files.Path | None:
  """Returns the first of `names`, or an archive that has it; None if neither.

  It may lie in the folder, one folder below, or be `data_dir` itself.

  Raises:
    UserError: if several folders below hold it, or an archive is broken.
  """
  if data_dir.is_file():
    is_csv = data_dir.suffix.lower() == ".csv"
    is_one = is_csv and data_dir.name.lower() != KAGGLE_TRAIN
    return data_dir if is_one or member(data_dir, names) else None
  own = data_dir / "fer2013"  # The folder of the contest's archive.
  for search in (_plain, _packed):
    for place in (data_dir, own):
      found = search(place, names)
      if found:
        return found
    root = listing.root(data_dir, functools.partial(search, names=names))
    if root:
      return search(root, names)
  return None


def find_kaggle_train(data_dir: user_files.Path) -> user_files.Path | None:
  """Returns Kaggle's train.csv, if the folder or file has its columns."""
  path = data_dir
  if not data_dir.is_file():
    path = _plain(data_dir, (KAGGLE_TRAIN,))
  if not path or path.name.lower() != KAGGLE_TRAIN:
    return None
  with user_files.open_text(path) as file:
    header = file.readline(1000).lower()
  columns = {name.strip(' "\r\n') for name in header.split(",")}
  return path if {"emotion", "pixels"} <= columns else None


def _plain(
  place: user_files.Path, names: tuple[str, ...]
) -> user_files.Path | None:
  found = listing.child(place, names)
  return found if found and not found.is_dir() else None


def _packed(
  place: user_files.Path, names: tuple[str, ...]
) -> user_files.Path | None:
  for path in listing.children(place):
    name = path.name.lower()
    is_archive = name.endswith(listing.ARCHIVES) and not path.is_dir()
    if is_archive and name.startswith(_ARCHIVE_STEMS) and member(path, names):
      return path
  return None


def member(path: user_files.Path, names: tuple[str, ...]) -> str | None:
  """Returns which file of an archive is one of `names`, in any letter case.

  Of a file that is merely compressed it is the name without the last ending.
  """
  with _naming(path), _unpacked(path) as found:
    if isinstance(found, zipfile.ZipFile):
      held = found.namelist()
    elif isinstance(found, tarfile.TarFile):
      held = (own.name for own in found if own.isfile())
    else:
      held = [path.stem]
    for name in held:
      if _is_of(name, names):
        return name
  return None


def _is_of(held: str, names: tuple[str, ...]) -> bool:
  """Whether a file in an archive has one of the names, in any letter case."""
  *folders, name = held.split("/")
  if any(listing.is_clutter(own) for own in folders if own not in ("", ".")):
    return False  # __MACOSX/ and the like.
  return name.casefold() in names


@contextlib.contextmanager
def open_text(
  path: user_files.Path, names: tuple[str, ...] = CSV_NAMES
) -> Iterator[io.TextIOBase]:
  """Opens a csv as `user_files.open_text` does, also out of an archive.

  Its bytes are read as they come: nothing is written, and nothing unpacked to
  memory as a whole.

  Raises:
    UserError: if the archive is broken, locked or has none of `names`.
  """
  with _naming(path), _unpacked(path) as found:
    if isinstance(found, tarfile.TarFile | zipfile.ZipFile):
      found = _open_member(found, path, names)
    yield io.TextIOWrapper(
      found, encoding="utf-8-sig", errors="replace", newline=""
    )


def _open_member(
  archive: tarfile.TarFile | zipfile.ZipFile,
  path: user_files.Path,
  names: tuple[str, ...],
) -> Any:
  if isinstance(archive, zipfile.ZipFile):
    for name in archive.namelist():
      if _is_of(name, names):
        try:
          return archive.open(name)
        except RuntimeError as error:  # A password, or an unknown method.
          raise UserError(
            f"{path} cannot be read ({error}); unpack it.", setting="data.dir"
          ) from error
  else:
    for own in archive:
      if _is_of(own.name, names):
        content = archive.extractfile(own)
        if content:
          return content
  raise UserError(
    f"{path} holds none of {', '.join(names)}; unpack it, and pass the folder.",
    setting="data.dir",
  )


@contextlib.contextmanager
def _unpacked(
  path: user_files.Path,
) -> Iterator[Any]:
  """Opens an archive, or the bytes of a file that is none, by its content."""
  with contextlib.ExitStack() as stack:
    file: Any = stack.enter_context(user_files.open_bytes(path))
    start = file.read(512)
    file.seek(0)
    if start.startswith(b"PK\3\4"):
      yield stack.enter_context(zipfile.ZipFile(file))
      return
    for magic, opener in _OPENERS.items():
      if start.startswith(magic):
        file = stack.enter_context(opener(file))
        start = file.read(512)
        file.seek(0)
    if start[_TAR_MARK] == b"ustar":
      yield stack.enter_context(tarfile.open(fileobj=file, mode="r:"))
    else:
      yield file


@contextlib.contextmanager
def _naming(path: user_files.Path) -> Iterator[None]:
  """Names the file where it turns out to be broken."""
  try:
    yield
  except UserError:
    raise
  except _BROKEN as error:
    if isinstance(error, OSError) and error.errno is not None:
      raise  # The system's own, such as a disk that fails; it has the name.
    raise UserError(
      f"{path} cannot be unpacked ({error}); fetch it again.",
      setting="data.dir",
    ) from error
