"""Frames of a video or camera, with their times; and videos of frames."""

import dataclasses
import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from pattlite_jax.predict.sources import Source
from pattlite_jax.runtime.array_types import UInt8
from pattlite_jax.runtime.errors import UserError

# Some containers only estimate how many frames they hold, to 2 % or so.
_CUT_OFF_BELOW = 0.97


@dataclasses.dataclass(frozen=True)
class Frame:
  """One picture of a video."""

  number: int  # From 0, of all frames of the video.
  time_s: float  # Since the beginning.
  pixels: UInt8[np.ndarray, "H W 3"]  # RGB, upright.


class Video:
  """A video file or camera, open for reading; a context manager."""

  def __init__(self, source: Source):
    """Opens it.

    Raises:
      UserError: if it cannot be.
      ModuleNotFoundError: without OpenCV, of the extra "video".
    """
    self._is_camera = source.camera is not None
    self._cv2 = _opencv()
    if self._is_camera:
      self._capture = self._cv2.VideoCapture(source.camera)
    else:
      # The path of a file alone: OpenCV reads patterns and addresses, too.
      path = _utf8(os.path.abspath(source.path))
      self._capture = self._cv2.VideoCapture(path, self._cv2.CAP_FFMPEG)
    if not self._capture.isOpened():
      if self._is_camera:
        raise UserError("there is no such camera, or it is in use")
      raise UserError(
        "it is no video that OpenCV can read, or has lost its index"
      )
    self.count = 0  # Frames read until now.

  def __enter__(self) -> "Video":
    return self

  def __exit__(self, *_: object) -> None:
    self._capture.release()

  @property
  def fps(self) -> float:
    """Frames a second, as the file says; 25 where it does not."""
    fps = self._capture.get(self._cv2.CAP_PROP_FPS)
    return fps if 0 < fps <= 1000 else 25.0

  @property
  def expected(self) -> int:
    """About how many frames there are; 0 if that is not known."""
    if self._is_camera:
      return 0
    return max(int(self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT)), 0)

  def frames(self, every: int = 1, fps: float | None = None) -> Iterator[Frame]:
    """Yields each frame of number 0, `every`, 2 `every`...

    `fps` is the most that are yielded of a second of the video.
    """
    start, due = time.monotonic(), 0.0
    while self._capture.grab():
      number, self.count = self.count, self.count + 1
      if self._is_camera:
        seconds = time.monotonic() - start
      else:
        seconds = self._capture.get(self._cv2.CAP_PROP_POS_MSEC) / 1000
      if number % every or (fps and seconds < due - 1e-6):
        continue
      if fps:
        due = max(due + 1 / fps, seconds + 0.5 / fps)
      is_there, pixels = self._capture.retrieve()
      if not is_there:
        return
      rgb = self._cv2.cvtColor(pixels, self._cv2.COLOR_BGR2RGB)
      yield Frame(number, seconds, rgb)

  def warning(self) -> str:
    """Says so if the file seems to be cut off, once all frames were read."""
    if self.count >= _CUT_OFF_BELOW * self.expected:
      return ""
    return f"it is cut off: {self.count:,} of about {self.expected:,} frames"


class Writer:
  """Writes frames to an MP4 file; a context manager."""

  def __init__(self, path: str, fps: float):
    """Writes nothing yet.

    Raises:
      UserError: if no file of that name can be written.
    """
    self._path, self._fps = _utf8(path), fps
    self._cv2 = _opencv()
    self._writer: Any = None

  def __enter__(self) -> "Writer":
    return self

  def __exit__(self, *_: object) -> None:
    if self._writer is not None:
      self._writer.release()

  def write(self, pixels: UInt8[np.ndarray, "H W 3"]) -> None:
    """Adds an RGB frame, of the same size as all others.

    Raises:
      UserError: if the file cannot be written.
    """
    height, width, _ = pixels.shape
    if self._writer is None:
      code = self._cv2.VideoWriter.fourcc(*"mp4v")
      self._writer = self._cv2.VideoWriter(
        self._path, self._cv2.CAP_FFMPEG, code, self._fps, (width, height)
      )
      if not self._writer.isOpened():
        raise UserError(f"OpenCV cannot write {self._path}.")
    self._writer.write(self._cv2.cvtColor(pixels, self._cv2.COLOR_RGB2BGR))


def _utf8(path: str) -> str:
  """Returns a path that OpenCV can take; another would end the process."""
  try:
    path.encode()
  except UnicodeEncodeError as error:
    raise UserError(
      "its name is not UTF-8, which OpenCV needs of videos; rename it"
    ) from error
  return path


def _opencv() -> Any:
  """Returns OpenCV, which says nothing of its own."""
  os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
  os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
  import cv2  # Of the extra "video".

  return cv2
