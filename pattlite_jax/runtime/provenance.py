"""What produced a result, for each file of results."""

import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from typing import Any

import jax
from etils import epath

PACKAGES = (
  "pattlite-jax",
  "jax",
  "jaxlib",
  "flax",
  "optax",
  "orbax-checkpoint",
  "numpy",
)


def environment() -> dict[str, Any]:
  """Returns the command, git revision, versions, machine and devices."""
  return {
    "command": shlex.join(["python", *sys.orig_argv[1:]]),
    "git_revision": _git_revision(),
    "versions": {
      "python": sys.version.split()[0],
      **{name: _version(name) for name in PACKAGES},
    },
    "machine": _machine(),
    "device": devices(),
  }


def devices() -> str:
  """Returns number and kind of the whole run's devices: "1 x cpu"."""
  found = jax.devices()
  return f"{len(found)} x {found[0].device_kind}"


def _version(package: str) -> str | None:
  try:
    return metadata.version(package)
  except metadata.PackageNotFoundError:
    return None


def _git_revision() -> str | None:
  """Returns the source's revision, "+" if changed, or None outside git."""
  root = epath.Path(__file__).parent

  def git(*args):
    return subprocess.run(
      ["git", *args], cwd=root, capture_output=True, text=True, check=True
    ).stdout.strip()

  try:
    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "HEAD") + ("+" if changed else "")
  except (OSError, subprocess.CalledProcessError):
    return None


def _machine() -> str:
  """Returns the processor's name and the number of cores that we may use."""
  name = platform.processor() or platform.machine()
  if os.path.exists("/proc/cpuinfo"):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
      names = [line for line in file if line.startswith("model name")]
    name = names[0].split(":")[1].strip() if names else name
  cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 0
  return f"{name}, {cores or os.cpu_count()} cores"
