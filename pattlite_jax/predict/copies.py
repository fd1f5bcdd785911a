"""Marked copies of pictures and videos, in a folder of their own."""

import pathlib
from collections.abc import Sequence

import numpy as np
import PIL.Image

from pattlite_jax.predict import annotate
from pattlite_jax.predict.photo import Face
from pattlite_jax.predict.sources import Source
from pattlite_jax.predict.timeline import Timeline
from pattlite_jax.predict.video import Frame, Writer
from pattlite_jax.runtime.array_types import UInt8
from pattlite_jax.runtime.errors import UserError

_LONGEST_JPEG = 65_500  # Pixels a side, of what Pillow writes.


def write_picture(
  source: Source,
  folder: pathlib.Path,
  pixels: UInt8[np.ndarray, "H W 3"],
  faces: Sequence[Face],
  class_names: Sequence[str],
  caption: str,
) -> None:
  """Writes a marked copy of a picture.

  Raises:
    UserError: if it would replace the picture, or cannot be encoded.
  """
  marked = annotate.annotated(pixels, faces, class_names, caption)
  jpeg = (".jpg", ".jpeg") if max(marked.size) <= _LONGEST_JPEG else ()
  _save(marked, _path(source, folder, (*jpeg, ".png"), ".png"))


class VideoCopy:
  """The marked copy of a video, and its time line; a context manager."""

  def __init__(
    self,
    source: Source,
    folder: pathlib.Path,
    fps: float,
    class_names: Sequence[str],
    caption: str,
  ):
    """Starts both files.

    Raises:
      UserError: if the copy would replace the video.
    """
    self._path = _path(source, folder, (".mp4",), ".mp4")
    self._path.parent.mkdir(parents=True, exist_ok=True)
    self._names, self._caption = class_names, caption
    self._writer = Writer(str(self._path), fps)
    self._timeline = Timeline(class_names)

  def __enter__(self) -> "VideoCopy":
    return self

  def __exit__(self, *_: object) -> None:
    """Ends the files, also of a run that is stopped."""
    self._writer.__exit__()
    drawn = self._timeline.draw(self._path.name)
    _save(drawn, self._path.with_name(f"{self._path.name}.timeline.png"))

  def add(self, frame: Frame, faces: Sequence[Face]) -> None:
    """Adds a frame, marked."""
    marked = annotate.annotated(frame.pixels, faces, self._names, self._caption)
    self._writer.write(np.asarray(marked))
    self._timeline.add(frame.time_s, faces)


def _path(
  source: Source,
  folder: pathlib.Path,
  kept: tuple[str, ...],
  otherwise: str,
) -> pathlib.Path:
  """Returns where a marked copy goes.

  Raises:
    UserError: if that is the file itself.
  """
  path = folder / source.copy
  if path.suffix.lower() not in kept:
    path = path.with_name(f"{path.name}{otherwise}")
    if pathlib.Path(source.path).with_name(path.name).exists():
      # Which is the name of another picture's copy.
      path = path.with_name(f"{path.stem}.marked{otherwise}")
  if path.resolve() == pathlib.Path(source.path).resolve():
    raise UserError(
      "its marked copy would replace it; name another folder for copies"
    )
  return path


def _save(picture: PIL.Image.Image, path: pathlib.Path) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  try:
    picture.save(path, quality=92)  # PNG has none, and ignores it.
  except OSError as error:
    if error.errno is not None:  # The system's.
      raise
    raise UserError(f"it cannot be encoded as a picture ({error})") from error
