"""Times PAtt-Lite against Keras, PyTorch and ONNX Runtime.

python -m pattlite_jax.benchmark [--what forward,train_step,input,startup]
  [--batch_sizes 1,8,32] [--peers keras,torch,onnxruntime] [--json F] [--png F]

All sides do the same work with the same weights, each in a process of its own
and in turns; pip install "pattlite-jax[bench]" brings the peers. A ratio is our
time over that of the faster peer: below 1 we are ahead. Training is timed from
batch size 2 on, as batch norm needs two images.
"""

import json
import os
from typing import Any

from absl import app, flags
from etils import epath

WHAT = ("forward", "train_step", "input", "startup")
PEERS = ("keras", "torch", "torch_compile", "onnxruntime")

_WHAT = flags.DEFINE_list("what", list(WHAT), f"Of {', '.join(WHAT)}.")
_BATCH_SIZES = flags.DEFINE_list("batch_sizes", ["1", "8", "32"], "Images.")
_PEERS = flags.DEFINE_list(
  "peers",
  ["keras", "torch", "onnxruntime"],
  f"Of {', '.join(PEERS)}; those that are not installed are left out, aloud.",
)
_DTYPE = flags.DEFINE_enum(
  "dtype", "float32", ("float32", "bfloat16"), "Of the computation."
)
_STEPS = flags.DEFINE_integer(
  "steps_per_dispatch", 1, "Of our train step (config.steps_per_dispatch).", 1
)
_ROUNDS = flags.DEFINE_integer("rounds", 15, "Turns of each side.", 3)
_SECONDS = flags.DEFINE_float("seconds", 0.5, "Of a side's turn.", 0.01)
_JSON = flags.DEFINE_string("json", None, "A file for all that was measured.")
_PNG = flags.DEFINE_string("png", None, "A file for time against batch size.")


def main(argv: list[str]) -> None:
  """Measures, prints the table and writes what the flags ask for."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  _require_known("what", _WHAT.value, WHAT)
  _require_known("peers", _PEERS.value, PEERS)
  sizes = _batch_sizes()
  # Else the first process on a GPU takes most of its memory from the others.
  os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
  # Imported here so that --help needs none of it.
  from pattlite_jax.runtime import errors

  with errors.in_one_line():
    _benchmark(sizes)


def _benchmark(sizes: list[int]) -> None:
  from pattlite_jax.benchmark import page
  from pattlite_jax.runtime import provenance
  from pattlite_jax.scoring import pictures

  result = {
    "dtype": _DTYPE.value,
    "steps_per_dispatch": _STEPS.value,
    **_measure(sizes),
    **provenance.environment(),
  }
  print("\n".join(page.text(result)))
  if _JSON.value:
    with epath.Path(_JSON.value).expanduser().open("w") as file:
      json.dump(result, file, indent=2)
  if _PNG.value:
    pictures.save(page.picture(result), epath.Path(_PNG.value).expanduser())


def _measure(sizes: list[int]) -> dict[str, Any]:
  from pattlite_jax.benchmark import computations, startup_time

  found: dict[str, Any] = {}
  what = set(_WHAT.value)
  if "startup" in what:  # First, while nothing else runs.
    found["startup"] = startup_time.milliseconds(_ROUNDS.value)
  if what - {"startup"}:
    found |= computations.measure(
      sorted(what - {"startup"}, key=WHAT.index),
      sizes,
      computations.installed(_PEERS.value),
      dtype=_DTYPE.value,
      steps_per_dispatch=_STEPS.value,
      rounds=_ROUNDS.value,
      seconds=_SECONDS.value,
    )
  return found


def _require_known(flag: str, words: list[str], known: tuple) -> None:
  for word in words:
    if word not in known:
      raise app.UsageError(
        f"--{flag} has {word!r}, but takes {', '.join(known)}."
      )


def _batch_sizes() -> list[int]:
  try:
    sizes = sorted({int(size) for size in _BATCH_SIZES.value})
  except ValueError:
    sizes = [0]
  if not sizes or sizes[0] < 1:
    raise app.UsageError(
      f"--batch_sizes is {','.join(_BATCH_SIZES.value)!r}, but must be whole "
      "numbers from 1 on, with commas between."
    )
  return sizes


if __name__ == "__main__":
  app.run(main)
