"""Settings of a process, made before JAX or TensorFlow computes anything."""

import ctypes
import os
import sys

from absl import logging

# malloc.h's names of what mallopt sets.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def configure(compilation_cache: str = "~/.cache/pattlite_jax/xla") -> None:
  """Prepares a command: quiet libraries, kept memory, kept compilations."""
  keep_freed_memory()
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Read at its import.
  # Orbax logs ~55 lines a checkpoint, and what it raises besides.
  logging.get_absl_handler().addFilter(
    lambda r: "orbax" not in r.pathname or r.levelname not in ("INFO", "ERROR")
  )
  _use_wide_vectors()
  import jax

  jax.config.update(
    "jax_compilation_cache_dir", os.path.expanduser(compilation_cache)
  )


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
