"""Prints digests of what the tree on sys.path computes, for launch/pin.sh.

Digests depend on values alone, not on the names of arrays or modules.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import jax
import numpy as np
import orbax.checkpoint as ocp

import pattlite_jax
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import packed
from pattlite_jax.data.drawing import face

NAMES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
CLASSES = (*NAMES, "neutral")
RUNS = {
  "published": [
    "--config=configs/fer2013.py",
    "--config.model.attention=batch",
    "--config.model.image_size=112",
    "--config.model.patch_stride=2",
    "--config.stage1.epochs=2",
    "--config.stage2.epochs=1",
  ],
  "modern": [
    "--config=configs/fer2013_best.py",
    "--config.model.image_size=96",
    "--config.stage1.epochs=2",
  ],
}


def _split(count: int, seed: int) -> examples_lib.Examples:
  rng = np.random.default_rng(seed)
  labels = np.arange(count, dtype=np.int32) % 7
  images = np.stack([face.draw_face(rng, int(k)) for k in labels])
  ids = np.array([f"{seed}-{i:03}" for i in range(count)])
  images = images.reshape(count, *images.shape[1:3], -1)
  return examples_lib.Examples(images, labels, ids, CLASSES)


def _digest(tree) -> str:
  leaves = sorted(
    hashlib.sha256(np.asarray(leaf).tobytes()).hexdigest()
    for leaf in jax.tree.leaves(tree)
  )
  return hashlib.sha256("".join(leaves).encode()).hexdigest()[:16]


def _train(name: str, arguments: list[str], folder: pathlib.Path) -> None:
  data = folder / "data.npz"
  if not data.exists():
    splits = {"train": _split(44, 0), "validation": _split(9, 1)}
    packed.write(str(data), "fer2013", splits | {"test": _split(7, 2)})
  workdir = folder / name
  command = [sys.executable, "-m", "pattlite_jax.main", *arguments]
  command += [
    "--config.data.name=fer2013",
    f"--config.data.packed={data}",
    f"--config.workdir={workdir}",
    "--config.batch_size=16",  # 44 images: the third batch is padded.
  ]
  subprocess.run(command, check=True, capture_output=True)
  steps = sorted((workdir / "checkpoints").iterdir(), key=lambda p: int(p.name))
  for step in steps:
    for item in ("state", "best"):
      with ocp.StandardCheckpointer() as reader:
        arrays = jax.tree.leaves(reader.restore(step / item))
      print(name, step.name, item, len(arrays), _digest(arrays))
  history = json.loads((workdir / "result.json").read_text())["history"]
  for record in history:
    print(name, json.dumps(record, sort_keys=True))


def main() -> None:
  """Trains both recipes for a few steps, and asks the shipped networks."""
  rng = np.random.default_rng(5)
  faces = np.stack([face.draw_face(rng, k % 7) for k in range(8)])
  faces = faces.reshape(8, *faces.shape[1:3], 1)
  for name in ("fer2013", "ferplus"):
    classify = pattlite_jax.load(name)
    print(name, "logits", _digest(classify.network.logits(faces)))
    print(name, "probabilities", _digest(classify(faces)))
    print(name, "one", _digest([classify(one) for one in faces]))
  with tempfile.TemporaryDirectory() as folder:
    for name, arguments in RUNS.items():
      _train(name, arguments, pathlib.Path(folder))


if __name__ == "__main__":
  main()
