"""Tries docs/own_data.md on faces of FER2013, as somebody's own folders.

python launch/own_data.py --data_dir data/fer2013 [--folder runs/own_data]
  [--out results/own_data.json]

Writes train/ and test/ of three classes in mixed formats, endings and sizes,
fine-tunes `ferplus` on them with configs/folders.py, and scores both networks.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import PIL.Image

from pattlite_jax.config.fields import FIELDS
from pattlite_jax.data import load
from pattlite_jax.runtime import durable, provenance

CLASSES = {"happy": "happiness", "sad": "sadness", "surprised": "surprise"}
COUNTS = {"train": ("train", 150), "test": ("validation", 100)}
FORMATS = ("jpeg", "png", "webp", "bmp")
SIDES = (48, 360)  # Pixels, from and below.


def write_folders(data_dir: str, folder: pathlib.Path) -> None:
  """Writes the pictures; the same ones each time."""
  rng = np.random.default_rng(0)
  sets = load.load_splits(
    "fer2013",
    data_dir=data_dir,
    prepared_dir=FIELDS["data.prepared_dir"].default,
    image_size=48,
  )
  for split, (source, count) in COUNTS.items():
    examples = sets[source]
    for name, own in CLASSES.items():
      place = folder / split / name
      place.mkdir(parents=True)
      rows = np.flatnonzero(examples.labels == examples.class_names.index(own))
      for number, row in enumerate(rng.choice(rows, count, replace=False)):
        picture = PIL.Image.fromarray(examples.images[row][..., 0])
        side = int(rng.integers(*SIDES))
        picture = picture.resize((side, side), PIL.Image.Resampling.BICUBIC)
        if rng.random() < 0.5:
          picture = picture.convert("RGB")
        kind = FORMATS[number % len(FORMATS)]
        ending = f".{kind}" if number % 5 else ""  # One in five has none.
        picture.save(place / f"{number}{ending}", kind)


def run(*words: object) -> None:
  """Runs a command of the package; what it says is seen."""
  command = [sys.executable, "-m", *map(str, words)]
  subprocess.run(command, check=True)


def main() -> None:
  """Writes the folders, trains, scores, and writes the figures."""
  flags = argparse.ArgumentParser(description=__doc__)
  flags.add_argument("--data_dir", default="data/fer2013")
  flags.add_argument("--folder", default="runs/own_data", help="a new one")
  flags.add_argument("--out", default="results/own_data.json")
  given = flags.parse_args()
  environment = provenance.environment()
  place = pathlib.Path(given.folder)
  faces, workdir = place / "faces", place / "run"
  write_folders(given.data_dir, faces)
  before, after = place / "before.json", place / "after.json"
  run(
    "pattlite_jax.evaluate",
    "--checkpoint=ferplus",
    "--dataset=folders",
    f"--data_dir={faces}",
    "--split=test",
    f"--json={before}",
  )
  start, children = time.monotonic(), os.times().children_user
  run(
    "pattlite_jax.main",
    "--config=folders",
    f"--config.data.dir={faces}",
    f"--config.workdir={workdir}",
  )
  seconds = time.monotonic() - start
  cpu = os.times().children_user - children
  run(
    "pattlite_jax.evaluate",
    f"--checkpoint={workdir}",
    "--split=test",
    f"--json={after}",
  )
  trained = workdir / "result.json"
  result = {
    "classes": list(CLASSES),
    "train": _figures(trained, "train")["num_examples"],
    "validation": _figures(trained, "validation"),
    "test": _figures(after, "test"),
    "test_before": _figures(before, "test"),
    "seconds": seconds,
    "cpu_seconds": cpu,
    **environment,
  }
  durable.write_text(given.out, json.dumps(result, indent=1) + "\n")


def _figures(path: pathlib.Path, split: str) -> dict:
  return json.loads(path.read_text())["splits"][split]["per_sample"]


if __name__ == "__main__":
  main()
