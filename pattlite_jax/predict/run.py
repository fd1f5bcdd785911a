"""Pictures and videos to rows and marked copies, one after the other."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import PIL.Image

from pattlite_jax.data.readers import image_file
from pattlite_jax.predict import annotate
from pattlite_jax.predict.photo import Face, Reader
from pattlite_jax.predict.progress import Progress
from pattlite_jax.predict.rows import Result
from pattlite_jax.predict.sources import Source
from pattlite_jax.predict.timeline import Timeline
from pattlite_jax.predict.video import Frame, Video, Writer
from pattlite_jax.runtime import errors
from pattlite_jax.runtime.errors import UserError


@dataclasses.dataclass(frozen=True)
class Settings:
  """How a run looks at what it is given."""

  passes: Sequence[str]  # Of pictures.
  video_passes: Sequence[str]
  every: int  # Frames of videos.
  fps: float | None  # The most frames a second of videos.
  pictures: pathlib.Path | None  # The folder of marked copies.
  caption: str  # Of marked copies.


@dataclasses.dataclass
class Tally:
  """What a run has come across."""

  files: int = 0
  faces: int = 0
  unreadable: int = 0
  warnings: list[str] = dataclasses.field(default_factory=list)


def run(
  sources: Iterator[Source],
  reader: Reader,
  settings: Settings,
  add: Callable[[Result], None],
  progress: Progress,
  tally: Tally,
) -> None:
  """Gives `add` the result of each picture and frame.

  What cannot be read gives a result with the reason, and the run goes on.
  """
  for source in sources:
    tally.files += 1
    try:
      if source.error:
        raise UserError(source.error)
      if source.is_video:
        _video(source, reader, settings, add, progress, tally)
      else:
        _picture(source, reader, settings, add, progress, tally)
    except Exception as error:
      if not (errors.is_for_user(error) or isinstance(error, MemoryError)):
        raise
      tally.unreadable += 1
      add(Result(source.shown, error=_reason(error, source)))
      progress.add(0)


def _reason(error: Exception, source: Source) -> str:
  """Returns why a file cannot be used, in a line that does not name it."""
  text = " ".join(errors.text_of(error).split()) or type(error).__name__
  path = os.path.abspath(source.path)
  text = text.removeprefix(f"{path} cannot be decoded as an image: ")
  return text.removesuffix(". Replace the file.")


def _picture(
  source: Source,
  reader: Reader,
  settings: Settings,
  add: Callable[[Result], None],
  progress: Progress,
  tally: Tally,
) -> None:
  path = pathlib.Path(os.path.abspath(source.path))
  pixels = image_file.read_image(path, 3)
  faces = reader.faces(pixels, settings.passes)
  if settings.pictures:
    copy = _copy(source, settings.pictures, (".jpg", ".jpeg", ".png"), ".png")
    marked = annotate.annotated(
      pixels, faces, reader.class_names, settings.caption
    )
    _save(marked, copy)
  add(Result(source.shown, faces))
  tally.faces += len(faces)
  progress.add(len(faces))


def _video(
  source: Source,
  reader: Reader,
  settings: Settings,
  add: Callable[[Result], None],
  progress: Progress,
  tally: Tally,
) -> None:
  with contextlib.ExitStack() as stack:
    video = stack.enter_context(Video(source))
    copies = None
    if settings.pictures:
      path = _copy(source, settings.pictures, (".mp4",), ".mp4")
      copies = stack.enter_context(_Copies(path, video, settings, reader))
    for frame in video.frames(settings.every, settings.fps):
      faces = reader.faces(frame.pixels, settings.video_passes)
      if copies:
        copies.add(frame, faces)
      add(Result(source.shown, faces, frame.number, frame.time_s))
      tally.faces += len(faces)
      part = video.count / video.expected if video.expected else 0.0
      progress.add(len(faces), min(part, 0.999))
    if not video.count:
      raise UserError("it has no frames that can be read")
    if warning := video.warning():
      tally.warnings.append(f"{source.shown}: {warning}")
  progress.add(0)


class _Copies:
  """The marked copy of a video, and its time line; a context manager."""

  def __init__(
    self, path: pathlib.Path, video: Video, settings: Settings, reader: Reader
  ):
    path.parent.mkdir(parents=True, exist_ok=True)
    fps = video.fps / settings.every
    self._path, self._caption = path, settings.caption
    self._names = reader.class_names
    self._writer = Writer(str(path), min(fps, settings.fps or fps))
    self._timeline = Timeline(reader.class_names)

  def __enter__(self) -> "_Copies":
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


def _copy(
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
  if path.resolve() == pathlib.Path(source.path).resolve():
    raise UserError(
      "its marked copy would replace it; name another folder for copies"
    )
  return path


def _save(picture: PIL.Image.Image, path: pathlib.Path) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  picture.save(path, quality=92)  # PNG has none, and ignores it.
