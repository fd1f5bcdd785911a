"""Standard output whose reader may leave: a closed terminal, or `| head`.

A command ends then as others do, without a word; on a full disk with one. A
training first saves where it is, as after a signal (training/stop.py); under
nohup it goes on unheard.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from absl import app

_NO_READER = (errno.EPIPE, errno.EIO)  # A pipe's, and a terminal's.


def run(main: Callable[..., Any], **options: Any) -> None:
  """Runs a command as `absl.app.run` does, and ends the process."""
  watch()
  app.run(main, **options)


def run_briefly(main: Callable[..., Any]) -> None:
  """Runs a command as `run` does, and ends the process without its last works.

  Taking down onnxruntime, its threads and its memory, takes as long as reading
  a picture. Nothing may be left to write but standard output and error.
  """
  try:
    run(main)
  except SystemExit as end:
    status = end.code
    if status is None or isinstance(status, int):
      sys.stdout.flush()
      sys.stderr.flush()
      os._exit(status or 0)
    raise


def watch() -> None:
  """Makes writing to standard output and error safe from here on."""
  sys.stdout = _Stream(sys.stdout, _hang_up)
  sys.stderr = _Stream(sys.stderr, lambda _: None)  # Warnings have no reader.


class _Stream:
  """A text stream that tells when nobody reads any more, and drops the rest."""

  def __init__(self, stream: Any, lost: Callable[[OSError], None]):
    self._stream = stream
    self._lost = lost

  def __getattr__(self, name: str) -> Any:
    return getattr(self._stream, name)

  def write(self, text: str) -> int:
    """Writes a text, if somebody reads."""
    self._try(lambda: self._stream.write(text))
    return len(text)

  def flush(self) -> None:
    """Flushes what was written, if somebody reads."""
    self._try(self._stream.flush)

  def _try(self, write: Callable[[], Any]) -> None:
    try:
      write()
    except OSError as error:
      # What is in buffers would raise again, at the latest when Python ends.
      nowhere = os.open(os.devnull, os.O_WRONLY)
      os.dup2(nowhere, self._stream.fileno())
      os.close(nowhere)
      self._lost(error)


def _hang_up(error: OSError) -> None:
  handler = signal.getsignal(signal.SIGHUP)
  if callable(handler):  # That of a training.
    signal.raise_signal(signal.SIGHUP)
  elif error.errno not in _NO_READER:
    print(f"Error: standard output: {error.strerror}.", file=sys.stderr)
    raise SystemExit(1)
  elif handler != signal.SIG_IGN:  # nohup's.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.raise_signal(signal.SIGPIPE)
