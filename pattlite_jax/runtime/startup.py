"""Settings of a process, made before JAX or TensorFlow computes anything."""

import contextlib
import ctypes
import logging as python_logging
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from absl import flags, logging

# malloc.h's names of what mallopt sets.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


_COMPILATIONS = "~/.cache/pattlite_jax/xla"
_WORTH_KEEPING = 0.3  # Seconds of a compilation; JAX keeps those of 1 and more.


def configure() -> None:
  """Prepares a command: quiet libraries, kept memory, kept compilations."""
  keep_freed_memory()
  sys.unraisablehook = _without_echoes
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Read at its import.
  _quieten_logs()
  _use_wide_vectors()
  keep_compilations()


def keep_compilations() -> None:
  """Lets the next process find what JAX compiles in this one.

  In ~/.cache/pattlite_jax/xla, unless JAX_COMPILATION_CACHE_DIR or
  `jax_compilation_cache_dir` names another folder, whose owner also says what
  is worth keeping; JAX_ENABLE_COMPILATION_CACHE=false keeps nothing.
  """
  import jax

  values = jax.config.values
  if not values["jax_enable_compilation_cache"]:
    return
  named = values["jax_compilation_cache_dir"]
  folder = _writable(named or _COMPILATIONS)
  jax.config.update("jax_compilation_cache_dir", folder)
  if not named:
    jax.config.update(
      "jax_persistent_cache_min_compile_time_secs", _WORTH_KEEPING
    )


def _writable(folder: str) -> str | None:
  """Returns a folder for compilations; None, with a warning, without one."""
  folder = os.path.expanduser(folder)
  if "://" in folder:
    return folder
  try:
    os.makedirs(folder, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()
  except OSError as error:
    # Matplotlib would say at length that it cannot write there, either.
    os.environ.setdefault("MPLCONFIGDIR", tempfile.gettempdir())
    logging.warning(
      "Compilations are not kept, as %s cannot be written to (%s); "
      "JAX_COMPILATION_CACHE_DIR=<folder> chooses another.",
      folder,
      error.strerror,
    )
    return None
  return folder


def _without_echoes(unraisable: Any) -> None:
  """Drops what follows from an error that is raised, too.

  TensorStore tells of each array that it could not write after the save has
  ended with the first of them.
  """
  if "Event loop is closed" not in str(unraisable.exc_value):
    sys.__unraisablehook__(unraisable)


def _quieten_logs() -> None:
  """Leaves what this package says, and the warnings of all others.

  In plain words, unless the flag --verbosity asks for all there is, each line
  with its time and its place in the code.
  """
  if flags.FLAGS.is_parsed() and flags.FLAGS["verbosity"].present:
    return
  handler = logging.get_absl_handler()
  handler.addFilter(_is_for_the_reader)
  handler.setFormatter(_Words())


def _is_for_the_reader(record: python_logging.LogRecord) -> bool:
  if "orbax" in record.pathname:  # Logs as errors what it raises besides.
    # What it misses is part of a step that has gone, or of no use.
    is_of_use = "Metadata file" not in record.getMessage()
    return record.levelno == python_logging.WARNING and is_of_use
  ours = str(pathlib.Path(__file__).parents[1])
  return record.levelno >= python_logging.WARNING or record.pathname.startswith(
    ours
  )


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
  """Drops what C++ code says at its level INFO to standard error meanwhile.

  TensorFlow says so much while it is imported, whatever its log level. All
  else is shown at the end.
  """
  chatter = (b"I0000 ", b"WARNING: All log messages before absl::Initialize")
  sys.stderr.flush()
  screen = os.dup(2)
  with tempfile.TemporaryFile() as file:
    os.dup2(file.fileno(), 2)
    try:
      yield
    finally:
      sys.stderr.flush()
      os.dup2(screen, 2)
      os.close(screen)
      file.seek(0)
      for line in file:
        if not line.startswith(chatter):
          os.write(2, line)


class _Words(python_logging.Formatter):
  """Begins a line with "Warning:" or "Error:" where it is one."""

  def format(self, record: python_logging.LogRecord) -> str:
    text = super().format(record)
    if record.levelno < python_logging.WARNING:
      return text
    return f"{record.levelname.capitalize()}: {text}"


def _use_wide_vectors() -> None:
  """Lets XLA use the whole AVX-512 registers of CPUs that have them.

  Its default of 256 bits suits CPUs that lower their clock for wide vectors.
  """
  name = "--xla_cpu_prefer_vector_width"
  flags = os.environ.get("XLA_FLAGS", "")
  if name not in flags:
    os.environ["XLA_FLAGS"] = f"{flags} {name}=512".strip()


def keep_freed_memory() -> None:
  """Lets large CPU buffers reuse pages instead of faulting them in each step.

  By default glibc maps each buffer and gives it back, step after step, which
  slows a train step at 224 pixels a good deal.
  """
  if not sys.platform.startswith("linux"):
    return
  libc = ctypes.CDLL(None)
  if hasattr(libc, "mallopt"):  # Not in musl.
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, -1)  # Never.
    libc.mallopt(_M_ARENA_MAX, 1)
