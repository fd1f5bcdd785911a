"""Finds and reads faces beside the package fer, on the same pictures.

python -m pattlite_jax.benchmark.on_photos --network ferplus --peers .peers
  --dataset ferplus/argmax [--data_dir F] [--packed F.npz] [--split validation]
  [--pictures 1000] --json results/peers/photographs.json

The pictures are the data set's faces, each in the middle of a canvas that
repeats its edge (`predict.canvas`), as their places and classes are known.
Scored are the classes that both know. `launch/peers.sh` installs fer.
"""

import pathlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import app, flags

from pattlite_jax.data import flags as data_flags
from pattlite_jax.runtime import output

OURS, FER = "ours", "fer"
_WARM = 5  # Pictures before the clock starts.


def compare(examples: Any, tools: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the classes and the number of pictures, and each tool's figures.

  `examples` are `data.examples.Examples`, `tools` are
  `peers.photographs.Tool`. Of the faces that have one of the common classes:
  how many are found, how many boxes are elsewhere, and the accuracy over those
  found and over all, where one that is not found counts as wrong.
  """
  from pattlite_jax.benchmark import on_faces

  common, kept, labels, columns = on_faces.common_classes(
    examples, {name: tool.class_names for name, tool in tools.items()}
  )
  images = examples.images[np.flatnonzero(kept)]
  return {
    "pictures": len(images),
    "class_names": common,
    "tools": {
      name: {
        "version": tool.version,
        **_figures(tool, images, labels, columns[name]),
      }
      for name, tool in tools.items()
    },
  }


def _figures(
  tool: Any, images: np.ndarray, labels: np.ndarray, columns: list[int]
) -> dict[str, Any]:
  """Returns what a tool finds and reads, and its milliseconds a picture."""
  from pattlite_jax.predict import canvas

  for image in images[:_WARM]:
    tool.see(canvas.lay(image))
  found = right = elsewhere = 0
  times = []
  for image, label in zip(images, labels, strict=True):
    picture = canvas.lay(image)
    start = time.perf_counter()
    seen = tool.see(picture)
    times.append(1000 * (time.perf_counter() - start))
    best = canvas.on_face(canvas.in_frame(seen.boxes, picture), seen.scores)
    elsewhere += len(seen.boxes) - (best is not None)
    if best is not None:
      found += 1
      right += bool(seen.probabilities[best][columns].argmax() == label)
  return {
    "found": found,
    "boxes_elsewhere": elsewhere,
    "accuracy_of_found": right / found if found else None,
    "accuracy_of_all": right / len(images),
    "ms": float(np.median(times)),
  }


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  for name, text in (
    ("network", "The network, as pattlite_jax.load takes it."),
    ("peers", "The folder in which launch/peers.sh has installed fer."),
    ("json", "The file to write."),
  ):
    flags.DEFINE_string(name, None, text, required=True, flag_values=values)
  flags.DEFINE_string(
    "split", "validation", "The split to take faces of.", flag_values=values
  )
  flags.DEFINE_integer(
    "pictures", 1000, "How many.", lower_bound=1, flag_values=values
  )
  data_flags.define_data(values)


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Asks both tools about the first pictures, and writes --json."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  # Imported here so that --help needs none of it.
  from pattlite_jax.benchmark import on_faces
  from pattlite_jax.benchmark.peers import photographs
  from pattlite_jax.runtime import errors, startup

  startup.configure()
  with errors.in_one_line(data_flags.OF_COMMANDS), startup.without_chatter():
    # First, as TFDS would import another OpenCV.
    fer = photographs.fer(pathlib.Path(given.peers).expanduser())
    tools = {OURS: photographs.ours(given.network), FER: fer}
    inputs = on_faces.load(given)
    count = min(given.pictures, len(inputs.examples))
    found = compare(inputs.examples.take(np.arange(count)), tools)
    about = {"dataset": inputs.dataset, "split": given.split}
    on_faces.write(given.json, about | {"network": given.network} | found)
  for name, own in found["tools"].items():
    print(
      f"{name:<6}{own['found']:,} of {found['pictures']:,} faces found, "
      f"{100 * own['accuracy_of_all']:.1f} % of all read right, "
      f"{own['boxes_elsewhere']:,} boxes elsewhere, "
      f"{own['ms']:.1f} ms a picture"
    )


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main)
