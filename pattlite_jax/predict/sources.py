"""What a user names on the command line: pictures, folders, videos, cameras."""

import dataclasses
import os
import pathlib
import stat
from collections.abc import Iterable, Iterator

STDIN = "-"
_CAMERA = "camera:"
# Those of a folder that are not looked at by their content. What Pillow does
# not read (HEIC) is named as unreadable rather than passed over.
PICTURES = frozenset(
  {".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jp2"}
  | {".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
VIDEOS = frozenset(
  {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"}
  | {".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"}
)


@dataclasses.dataclass(frozen=True)
class Source:
  """One thing to look at."""

  path: str  # As the user reaches it, or "camera:0".
  copy: pathlib.PurePath  # Where its copy goes, within the folder of copies.
  error: str = ""  # Why it cannot be looked at.
  camera: int | None = None

  @property
  def is_video(self) -> bool:
    """Whether it has frames."""
    is_file = pathlib.PurePath(self.path).suffix.lower() in VIDEOS
    return self.camera is not None or is_file

  @property
  def shown(self) -> str:
    """The path as text: bytes that are no UTF-8 are escaped."""
    return os.fsencode(self.path).decode("utf-8", "backslashreplace")


def sources(
  paths: Iterable[str], lines: Iterable[str] = (), without: str | None = None
) -> Iterator[Source]:
  """Yields what the paths hold, folders in order of their names.

  Nothing is kept of what was yielded. Hidden files are passed over, and each
  folder is read once, however many links lead to it.

  Args:
    paths: of files and folders; `camera:0`; `-` for those in `lines`.
    lines: what standard input holds, a path a line.
    without: a folder that is not entered, as results go there.
  """
  paths = list(paths)
  is_alone = len(paths) == 1 and paths != [STDIN]
  for path in paths:
    if path == STDIN:
      for line in lines:
        if line.strip("\r\n"):
          yield from _named(line.rstrip("\r\n"), False, without)
    else:
      yield from _named(path, is_alone, without)


def is_camera(path: str) -> bool:
  """Whether a path names a camera."""
  return path.startswith(_CAMERA) and path[len(_CAMERA) :].isdecimal()


def _named(path: str, is_alone: bool, without: str | None) -> Iterator[Source]:
  """Yields what one path holds; copies of several keep all of their paths."""
  if is_camera(path):
    number = int(path.removeprefix(_CAMERA))
    copy = pathlib.PurePath(f"camera_{number}.mp4")
    yield Source(path, copy, camera=number)
    return
  reached = os.path.expanduser(path)
  whole = _below(reached)
  if os.path.isdir(reached):
    top = pathlib.PurePath() if is_alone else whole
    yield from _in_folder(reached, top, without)
  else:
    yield _file(reached, pathlib.PurePath(whole.name) if is_alone else whole)


def _file(path: str, copy: pathlib.PurePath) -> Source:
  """Returns a file, with the reason if it is none that can be read."""
  try:
    if stat.S_ISREG(os.stat(path).st_mode):
      return Source(path, copy)
  except (OSError, ValueError) as error:  # ValueError: a NUL in the name.
    return Source(path, copy, _reason(error))
  return Source(path, copy, "it is no file")  # Reading a pipe would wait.


def _below(path: str) -> pathlib.PurePath:
  """Returns a path that stays below any folder that it is joined to."""
  parts = pathlib.PurePath(path).parts
  anchor = pathlib.PurePath(path).anchor
  return pathlib.PurePath(
    *("up" if part == ".." else part for part in parts if part != anchor)
  )


def _in_folder(
  top: str, copies: pathlib.PurePath, without: str | None
) -> Iterator[Source]:
  skip = None if without is None else os.path.realpath(without)
  seen: set[tuple[int, int]] = set()
  todo = [(top, copies)]
  count = 0
  while todo:
    folder, below = todo.pop()
    try:
      status = os.stat(folder)
      if (status.st_dev, status.st_ino) in seen:
        continue
      seen.add((status.st_dev, status.st_ino))
      if skip is not None and os.path.realpath(folder) == skip:
        continue
      files, folders = _entries(folder)
    except OSError as error:
      count += 1
      yield Source(folder, below, _reason(error))
      continue
    for name in files:
      count += 1
      yield _file(os.path.join(folder, name), below / name)
    todo += [
      (os.path.join(folder, name), below / name) for name in reversed(folders)
    ]
  if not count:
    yield Source(top, copies, "it holds no pictures or videos")


def _entries(folder: str) -> tuple[list[str], list[str]]:
  """Returns the names of a folder's pictures and videos, and of its folders."""
  files, folders = [], []
  with os.scandir(folder) as entries:
    for entry in entries:
      if entry.name.startswith("."):
        continue
      if _is_folder(entry):
        folders.append(entry.name)
      elif _is_wanted(entry.name):
        files.append(entry.name)
  return sorted(files), sorted(folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
  try:
    return entry.is_dir()
  except OSError:  # A link to itself, which will be named as unreadable.
    return False


def _is_wanted(name: str) -> bool:
  suffix = os.path.splitext(name)[1].lower()
  return suffix in PICTURES or suffix in VIDEOS


def _reason(error: Exception) -> str:
  text = getattr(error, "strerror", None) or str(error)
  return " ".join(text.split()).lower()
