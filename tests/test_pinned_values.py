"""What the shipped networks and both recipes compute stays what it was.

pinned_values.json was written by the code of revision dd866fe, but for what
was changed on purpose since then. Processors differ in their last bits, so the
values are compared to 1e-5.
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from small_run import fit

import pattlite_jax
from pattlite_jax.config import files as config_files
from pattlite_jax.data.drawing import face
from pattlite_jax.data.examples import Examples

PINNED = json.loads(
  pathlib.Path(__file__).with_suffix(".json").with_stem("pinned_values")
  .read_text()
)  # fmt: skip
CLASSES = (
  "anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral",
)  # fmt: skip


def draw(count, seed):
  rng = np.random.default_rng(seed)
  labels = np.arange(count, dtype=np.int32) % 7
  images = np.stack([face.draw_face(rng, int(k)) for k in labels])
  ids = np.array([f"{seed}-{i:03}" for i in range(count)])
  return Examples(images, labels, ids, CLASSES)


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("name", ["fer2013", "ferplus"])
def test_the_logits_of_shipped_networks_on_drawn_faces(name):
  rng = np.random.default_rng(5)
  faces = np.stack([face.draw_face(rng, k % 7) for k in range(8)])
  network = pattlite_jax.load(name).network
  logits = network.temperature * network.logits(faces)
  np.testing.assert_allclose(logits, PINNED["logits"][name], atol=1e-5)


RECIPES = {
  "published": (
    "fer2013",
    {
      "model.attention": "batch",
      "model.image_size": 112,
      "model.patch_stride": 2,
      "stage1.epochs": 2,
      "stage2.epochs": 1,
    },
  ),
  "modern": ("fer2013_best", {"model.image_size": 96, "stage1.epochs": 2}),
}


def print_history(recipe, workdir):
  """Prints the epochs of a run as JSON: three steps each, one padded."""
  name, fields = RECIPES[recipe]
  config = config_files.load(name)
  config.update_from_flattened_dict(fields)
  config.workdir = workdir
  config.batch_size = 16
  splits = {"train": draw(44, 0), "validation": draw(9, 1), "test": draw(7, 2)}
  result, _ = fit(config, splits)
  print(json.dumps(result["history"]))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_first_epochs_of_a_recipe(recipe, tmp_path):
  code = "import sys, test_pinned_values as t; t.print_history(*sys.argv[1:])"
  # Programs as users have them: without what makes the tests compile fast.
  own = {
    "XLA_FLAGS": "",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "false",
    "JAX_PLATFORMS": "cpu",
    "PYTHONPATH": os.pathsep.join(sys.path),
  }
  done = subprocess.run(
    [sys.executable, "-c", code, recipe, str(tmp_path / "run")],
    env=os.environ | own,
    capture_output=True,
    text=True,
    timeout=600,
  )
  assert done.returncode == 0, done.stderr
  history = json.loads(done.stdout.splitlines()[-1])
  expected = PINNED["history"][recipe]
  assert len(history) == len(expected)
  for found, pinned in zip(history, expected, strict=True):
    assert found.pop("stage") == pinned.pop("stage")
    assert found == pytest.approx(pinned, rel=1e-5)
