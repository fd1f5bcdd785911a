"""Times PAtt-Lite against Keras, PyTorch and ONNX Runtime.

python -m pattlite_jax.benchmark
  [--what forward,train_step,input,startup,recipe,export,input_set,video]
  [--batch_sizes 1,8,32] [--input_images 2000] [--input_size 224]
  [--peers keras,torch,onnxruntime] [--json F] [--png F]

All sides do the same work with the same weights, each in a process of its own
and in turns; pip install "pattlite-jax[bench]" brings the peers. A ratio is our
time over that of the faster peer: below 1 we are ahead. Training is timed from
batch size 2 on, as batch norm needs two images. "export" times the files that
pattlite_jax.export writes of a shipped network. "input" times the batches of
faces in memory beside the step that takes them, and, as does "input_set" alone,
those of a made set of JPEGs, in memory and from disk. "recipe" times our steps
of configs/fer2013_best.py beside the processor's largest product. "video" times
pattlite_jax.predict on a made video beside a loop over its parts. What is
measured lies in F.part until all of it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from absl import app, flags

from pattlite_jax.runtime import output
from pattlite_jax.runtime.lazy import epath

WHAT = (
  *("forward", "train_step", "input", "startup", "recipe"),
  *("export", "input_set", "video"),
)
_USUAL = ("forward", "train_step", "input", "startup")
_INPUT_SECONDS = 10.0  # Of each way to read a made set.
PEERS = ("keras", "torch", "torch_compile", "onnxruntime")


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  _define_work(values)
  flags.DEFINE_integer(
    "rounds", 15, "Turns of each side.", 3, flag_values=values
  )
  flags.DEFINE_float(
    "seconds", 0.5, "Seconds of a side's turn.", 0.01, flag_values=values
  )
  for name, text in (
    ("json", "A file for all that was measured."),
    ("png", "A file for a picture of time against batch size."),
  ):
    flags.DEFINE_string(name, None, text, flag_values=values)


def _define_work(values: flags.FlagValues) -> None:
  for name, default, text in (
    ("what", list(_USUAL), f"What to time: some of {', '.join(WHAT)}."),
    ("batch_sizes", ["1", "8", "32"], "Numbers of images in a batch."),
    (
      "peers",
      ["keras", "torch", "onnxruntime"],
      f"What to compare with: some of {', '.join(PEERS)}; the output names "
      "those that are not installed.",
    ),
  ):
    flags.DEFINE_list(name, default, text, flag_values=values)
  flags.DEFINE_enum(
    "dtype",
    "float32",
    ("float32", "bfloat16"),
    "Number format of the computation.",
    flag_values=values,
  )
  flags.DEFINE_list(
    "input_images",
    ["2000"],
    "Numbers of JPEGs of the sets that are made to time the input.",
    flag_values=values,
  )
  flags.DEFINE_integer(
    "input_size",
    224,
    "Pixels a side of these JPEGs.",
    8,
    4096,
    flag_values=values,
  )
  flags.DEFINE_integer(
    "steps_per_dispatch",
    1,
    "Train steps that our side takes at once (config.steps_per_dispatch).",
    1,
    flag_values=values,
  )


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Measures, prints the table and writes what the flags ask for."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  _require_known("what", given.what, WHAT)
  _require_known("peers", given.peers, PEERS)
  if given.png and not {"forward", "train_step"} & set(given.what):
    raise app.UsageError("--png draws forward and train_step; --what has none.")
  sizes = _numbers("batch_sizes", given.batch_sizes)
  counts = _numbers("input_images", given.input_images)
  # Else the first process on a GPU takes most of its memory from the others.
  os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
  # Imported here so that --help needs none of it.
  from pattlite_jax.runtime import errors

  with errors.in_one_line():
    _benchmark(given, sizes, counts)


def _benchmark(
  given: flags.FlagValues, sizes: list[int], counts: list[int]
) -> None:
  from pattlite_jax.benchmark import page
  from pattlite_jax.runtime import durable, provenance
  from pattlite_jax.scoring import pictures

  path = durable.named(given.json) if given.json else None

  def described(found: dict[str, Any]) -> dict[str, Any]:
    return {
      "dtype": given.dtype,
      "steps_per_dispatch": given.steps_per_dispatch,
      **found,
      **provenance.environment(),
    }

  def keep(found: dict[str, Any]) -> None:
    if path:
      text = json.dumps(described(found), indent=2)
      durable.write_text(_unfinished(path), text)

  result = described(_measure(given, sizes, counts, keep))
  print("\n".join(page.text(result)))
  if path:
    durable.write_text(path, json.dumps(result, indent=2))
    _unfinished(path).unlink(missing_ok=True)
  if given.png:
    pictures.save(page.picture(result), durable.named(given.png))


def _unfinished(path: epath.Path) -> epath.Path:
  """Returns where a benchmark under way keeps what it has measured."""
  return path.with_name(f"{path.name}.part")


def _measure(
  given: flags.FlagValues,
  sizes: list[int],
  counts: list[int],
  keep: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
  from pattlite_jax.benchmark import computations, startup_time
  from pattlite_jax.runtime import startup

  found: dict[str, Any] = {}
  what = set(given.what)
  if "startup" in what:  # First, while nothing else runs.
    found["startup"] = startup_time.milliseconds(given.rounds)
    keep(found)
  if "video" in what:
    from pattlite_jax.benchmark import video_time

    found["video"] = video_time.measure(given.rounds)
    keep(found)
  if "export" in what:
    from pattlite_jax.benchmark import export_time

    startup.configure()
    found["export"] = export_time.measure(
      sizes, rounds=given.rounds, seconds=given.seconds
    )
    keep(found)
  sides = what & {"forward", "train_step", "input"}
  if sides:
    found |= computations.measure(
      sorted(sides, key=WHAT.index),
      sizes,
      computations.installed(given.peers),
      dtype=given.dtype,
      steps_per_dispatch=given.steps_per_dispatch,
      rounds=given.rounds,
      seconds=given.seconds,
      keep=lambda so_far: keep({**found, **so_far}),
    )
  if "recipe" in what:
    from pattlite_jax.benchmark import recipe_time

    startup.configure()
    found["recipe"] = recipe_time.measure(
      rounds=given.rounds, seconds=given.seconds
    )
    keep(found)
  if what & {"input", "input_set"}:
    from pattlite_jax.benchmark import input_set

    found["input_sets"] = input_set.measure(
      counts, given.input_size, sizes[-1], _INPUT_SECONDS
    )
  return found


def _require_known(flag: str, names: list[str], known: tuple) -> None:
  for name in names:
    if name not in known:
      raise app.UsageError(
        f"--{flag} has {name!r}, but takes {', '.join(known)}."
      )


def _numbers(flag: str, texts: list[str]) -> list[int]:
  try:
    numbers = sorted({int(text) for text in texts})
  except ValueError:
    numbers = [0]
  if not numbers or numbers[0] < 1:
    raise app.UsageError(
      f"--{flag} is {','.join(texts)!r}, but must be whole "
      "numbers from 1 on, with commas between."
    )
  return numbers


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main)
