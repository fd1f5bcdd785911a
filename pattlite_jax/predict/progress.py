"""One line on a terminal that says how far a run is."""

import sys
import time
from typing import Any

_REDRAW_SECONDS = 0.2
_BAR = 20  # Characters.


class Progress:
  """A bar on standard error, if that is a terminal; redrawn as things end.

  `total` is how many files there are; None if that is not known.
  """

  def __init__(self, total: int | None, screen: Any = sys.stderr):
    self.total = total
    self.done = self.faces = 0
    self._screen = screen if screen.isatty() else None
    self._start = time.monotonic()
    self._drawn = 0.0
    self._first = 0  # Files that an earlier run had done.

  def skip(self) -> None:
    """Counts a file that an earlier run had done."""
    self.done += 1
    self._first += 1

  def add(self, faces: int, part: float = 1.0) -> None:
    """Counts faces; `part` of the current file is done, 1 ends it."""
    self.faces += faces
    if part >= 1:
      self.done += 1
    if self._screen and time.monotonic() - self._drawn >= _REDRAW_SECONDS:
      self._drawn = time.monotonic()
      self._screen.write(f"\r\x1b[K{self._text(part % 1)}")
      self._screen.flush()

  def rate(self) -> float:
    """Returns faces a second."""
    return self.faces / max(time.monotonic() - self._start, 1e-9)

  def clear(self) -> None:
    """Takes the line off the screen."""
    if self._screen and self._drawn:
      self._screen.write("\r\x1b[K")
      self._screen.flush()

  def _text(self, part: float) -> str:
    words = f"{self.faces:,} faces, {self.rate():.1f} a second"
    if not self.total:
      return f"{self.done:,} files, {words}"
    done = min((self.done + part) / self.total, 1.0)
    bar = "━" * round(done * _BAR) + "─" * (_BAR - round(done * _BAR))
    here = self.done + part - self._first
    text = f"{bar} {self.done:,}/{self.total:,} files, {words}"
    if here <= 0:
      return text
    seconds = (self.total - self.done - part) / here
    seconds *= time.monotonic() - self._start
    minutes = round(max(seconds, 0)) // 60
    return f"{text}, {minutes}:{round(max(seconds, 0)) % 60:02d} left"
