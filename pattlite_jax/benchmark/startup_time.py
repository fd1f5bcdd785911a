"""How long a command takes to answer."""

import subprocess
import sys
import time

from pattlite_jax.benchmark import summary

COMMANDS = ("main", "evaluate", "audit", "benchmark")


def milliseconds(rounds: int) -> dict[str, dict[str, float]]:
  """Returns the time of `python -m pattlite_jax.<command> --help`."""
  return {f"{name} --help": _of(name, rounds) for name in COMMANDS}


def _of(name: str, rounds: int) -> dict[str, float]:
  times = []
  for _ in range(rounds):
    start = time.perf_counter()
    # absl exits with 1 after its help, so that the text must tell.
    answer = subprocess.run(
      [sys.executable, "-m", f"pattlite_jax.{name}", "--help"],
      capture_output=True,
      text=True,
      check=False,
    )
    times.append(time.perf_counter() - start)
    if "flags:" not in answer.stdout:
      raise RuntimeError(f"{name} --help failed:\n{answer.stderr}")
  return summary.of_seconds(times)
