"""Reads a Keras file in a process of its own, which may fail as it likes.

HDF5 is a large library in C that was not made for files of strangers: some
take all memory, or never come to an end. The process has limits for both, and
returns plain arrays.
"""

import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.weights import file_kinds, keras_files
from pattlite_jax.weights.keras_files import KerasFile, Stored

_MAX_FILE = 1_000_000_000  # Bytes.
_MAX_MEMORY = 4 * 2**30  # Bytes.
_MAX_SECONDS = 60  # Of computing; MobileNetV1 takes less than one.
_COMMAND = (sys.executable, "-m", "pattlite_jax.weights.keras_process")


def read(path: epath.Path, command: Sequence[str] = _COMMAND) -> KerasFile:
  """Returns what a file holds; see `keras_files.parse`.

  `command` is the process that reads it from its standard input.

  Raises:
    MissingFileError: if there is none.
    UserError: if it is of another kind, broken or crafted; says what it is.
  """
  kind = file_kinds.of(path)
  if kind in (None, "HDF5", "Keras zip"):
    advice = None
  else:
    advice = file_kinds.advice(path)
  if advice:
    raise UserError(advice)
  if not file_kinds.is_plain(path):
    raise MissingFileError(f"{path.resolve()} is no file.")
  size = path.stat().length
  if size > _MAX_FILE:
    raise _unreadable(path, f"it has {size:,} bytes")
  status, output = _run(command, path.read_bytes())
  if status:
    raise _unreadable(
      path,
      f"HDF5 crashed on it, or took more than {_MAX_SECONDS} s or "
      f"{_MAX_MEMORY // 2**30} GB (status {status})",
    )
  with np.load(io.BytesIO(output), allow_pickle=False) as found:
    header = json.loads(found["header"].item())
    if "error" in header:
      raise _unreadable(path, header["error"])
    return _unpacked(header, found)


def _unreadable(path: epath.Path, reason: str) -> UserError:
  return UserError(
    f"{path} cannot be read as a Keras weights file, .h5 or .keras; it may be "
    f"incomplete: {reason}"
  )


def _run(command: Sequence[str], data: bytes) -> tuple[int, bytes]:
  """Returns the status of the process, and what it wrote."""
  done = subprocess.run(
    command,
    input=data,
    capture_output=True,
    env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    check=False,
  )
  return done.returncode, done.stdout


def _unpacked(header: dict[str, Any], found: Any) -> KerasFile:
  layers = [
    Stored(tuple(path), name, [found[f"{row}/{i}"] for i in range(count)])
    for row, (path, name, count) in enumerate(header["layers"])
  ]
  return KerasFile(header["description"], header["by_class"], layers)


def _packed(data: bytes) -> bytes:
  """Returns what `read` unpacks."""
  arrays = {}
  try:
    file = keras_files.parse(data)
    header = {
      "description": file.description,
      "by_class": file.by_class,
      "layers": [(x.path, x.name, len(x.arrays)) for x in file.layers],
    }
    for row, layer in enumerate(file.layers):
      arrays |= {f"{row}/{i}": array for i, array in enumerate(layer.arrays)}
  except Exception as error:  # Broken files make HDF5 and zip raise any kind.
    reason = textwrap.shorten(str(error), 300) or type(error).__name__
    header, arrays = {"error": reason}, {}
  output = io.BytesIO()
  np.savez(output, header=json.dumps(header), **arrays)
  return output.getvalue()


def limit(max_memory: int, max_seconds: int) -> None:
  """Limits what this process may take; it is killed when it takes more."""
  for kind, most in (
    (resource.RLIMIT_AS, max_memory),
    (resource.RLIMIT_CPU, max_seconds),
    (resource.RLIMIT_CORE, 0),
  ):
    with contextlib.suppress(ValueError, OSError):  # Not every system has it.
      _, hard = resource.getrlimit(kind)
      limited = most if hard == resource.RLIM_INFINITY else min(most, hard)
      resource.setrlimit(kind, (limited, hard))


if __name__ == "__main__":
  limit(_MAX_MEMORY, _MAX_SECONDS)
  sys.stdout.buffer.write(_packed(sys.stdin.buffer.read()))
