"""Pictures and videos to rows and marked copies, one after the other.

What draws copies is imported with the first one: most runs draw none.
"""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

from pattlite_jax.data.readers import image_file
from pattlite_jax.predict.photo import Reader
from pattlite_jax.predict.progress import Progress
from pattlite_jax.predict.rows import Result
from pattlite_jax.predict.sources import Source
from pattlite_jax.predict.video import Video
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
  without_copy: int = 0  # Pictures whose marked copy could not be written.
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
  add(Result(source.shown, faces))
  tally.faces += len(faces)
  progress.add(len(faces))
  if settings.pictures:
    from pattlite_jax.predict import copies

    try:
      copies.write_picture(
        source, settings.pictures, pixels, faces, reader.class_names,
        settings.caption,
      )  # fmt: skip
    except Exception as error:
      if not errors.is_for_user(error):
        raise
      tally.without_copy += 1
      reason = _reason(error, source)
      tally.warnings.append(f"{source.shown} has no marked copy: {reason}")


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
    copy = None
    if settings.pictures:
      from pattlite_jax.predict import copies

      fps = video.fps / settings.every
      copy = stack.enter_context(
        copies.VideoCopy(
          source,
          settings.pictures,
          min(fps, settings.fps or fps),
          reader.class_names,
          settings.caption,
        )
      )
    for frame in video.frames(settings.every, settings.fps):
      faces = reader.faces(frame.pixels, settings.video_passes)
      if copy:
        copy.add(frame, faces)
      add(Result(source.shown, faces, frame.number, frame.time_s))
      tally.faces += len(faces)
      part = video.count / video.expected if video.expected else 0.0
      progress.add(len(faces), min(part, 0.999))
    if not video.count:
      raise UserError("it has no frames that can be read")
    if warning := video.warning():
      tally.warnings.append(f"{source.shown}: {warning}")
  progress.add(0)
