"""How long a command takes to answer, from its start to its end."""

import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np
import PIL.Image

from pattlite_jax.benchmark import summary
from pattlite_jax.data.drawing import face
from pattlite_jax.predict import canvas

COMMANDS = ("main", "evaluate", "audit", "benchmark")


def milliseconds(rounds: int) -> dict[str, dict[str, float]]:
  """Returns the time of some commands' `--help`, and of `predict` on a picture.

  Each is a process of its own.
  """
  # absl exits with 1 after its help, so that the text must tell.
  found = {
    f"{name} --help": _of([name, "--help"], "flags:", rounds)
    for name in COMMANDS
  }
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "face.png"
    drawn = canvas.lay(face.draw_face(np.random.default_rng(0), 0))
    PIL.Image.fromarray(drawn).save(path)
    height, width, _ = drawn.shape
    name = f"predict PICTURE of {width}x{height} pixels"
    found[name] = _of(["predict", str(path)], "face 1 at", rounds)
  return found


def _of(words: Sequence[str], said: str, rounds: int) -> dict[str, float]:
  times = []
  for _ in range(rounds):
    start = time.perf_counter()
    answer = subprocess.run(
      [sys.executable, "-m", f"pattlite_jax.{words[0]}", *words[1:]],
      capture_output=True,
      text=True,
      check=False,
    )
    times.append(time.perf_counter() - start)
    if said not in answer.stdout:
      raise RuntimeError(f"{' '.join(words)} failed:\n{answer.stderr}")
  return summary.of_seconds(times)
