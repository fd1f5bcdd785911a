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
_LOAD = """
import numpy, pattlite_jax
print(pattlite_jax.load("ferplus")(numpy.zeros((48, 48), numpy.uint8)).shape)
"""


def milliseconds(rounds: int) -> dict[str, dict[str, float]]:
  """Returns the time of some commands' `--help`, and of first predictions.

  These are `predict` on a picture, and `load` with what an earlier process has
  compiled. Each is a process of its own.
  """
  # absl exits with 1 after its help, so that the text must tell.
  found = {
    f"{name} --help": _of(_command(name, "--help"), "flags:", rounds)
    for name in COMMANDS
  }
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "face.png"
    drawn = canvas.lay(face.draw_face(np.random.default_rng(0), 0))
    PIL.Image.fromarray(drawn).save(path)
    height, width, _ = drawn.shape
    name = f"predict PICTURE of {width}x{height} pixels"
    found[name] = _of(_command("predict", str(path)), "face 1 at", rounds)
  load = ("-c", _LOAD)
  _of(load, "(8,)", 1)
  found['load("ferplus") and its first face'] = _of(load, "(8,)", rounds)
  return found


def _command(name: str, *words: str) -> Sequence[str]:
  return "-m", f"pattlite_jax.{name}", *words


def _of(words: Sequence[str], said: str, rounds: int) -> dict[str, float]:
  times = []
  for _ in range(rounds):
    start = time.perf_counter()
    answer = subprocess.run(
      [sys.executable, *words], capture_output=True, text=True, check=False
    )
    times.append(time.perf_counter() - start)
    if said not in answer.stdout:
      raise RuntimeError(f"{' '.join(words)} failed:\n{answer.stderr}")
  return summary.of_seconds(times)
