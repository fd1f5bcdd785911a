"""Real compilations for slices that are not there; they need libtpu."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from pattlite_jax.methods import METHODS

# A trunk of one block, of the smallest images.
TINY = (
  "--config.model.image_size=24",
  "--config.model.cut=conv_pw_1_relu",
  "--config.model.dtype=bfloat16",
)
pytestmark = [
  pytest.mark.long,
  pytest.mark.slow,
  pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None,
    reason='libtpu is not installed: pip install "pattlite-jax[tpu_check]"',
  ),
]


def compile_for(tmp_path, *arguments):
  file = tmp_path / "found.json"
  command = [sys.executable, "-m", "pattlite_jax.compile", *arguments]
  done = subprocess.run(
    [*command, f"--json={file}"],
    capture_output=True,
    text=True,
    timeout=800,
    env=os.environ
    | {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "false"},
  )
  assert done.returncode == 0, done.stderr[-3000:]
  return json.loads(file.read_text()), done.stdout


@pytest.mark.parametrize(
  "topology, hosts", [("v5e:2x2", 1), ("v5e:4x4", 4), ("v5p:2x2x2", 2)]
)
def test_a_step_and_prediction_compile(topology, hosts, tmp_path):
  found, text = compile_for(
    tmp_path,
    "--config=fer2013_best",
    f"--topology={topology}",
    "--batch_size=32",
    *TINY,
  )
  assert found["hosts"] == hosts and f"on {hosts} host" in text
  step = found["programs"]["train step, stage1"]
  assert 0 < step["memory"]["total"] < step["memory"]["available"]
  assert step["images_per_second"] > 0 and len(step["costliest"]) == 10
  gradients = 4 * 140_000  # At least one f32 of each parameter.
  (exchange,) = step["collectives"]
  assert exchange["kind"] == "all-reduce" and exchange["bytes"] > gradients
  prediction = found["programs"]["prediction"]
  assert prediction["collectives"] == []
  assert prediction["estimated_cycles"] < step["estimated_cycles"]


@pytest.mark.parametrize("topology", ["v5e:4x4", "v5p:2x2x2"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_compiles(method, topology, tmp_path):
  recipes = {"baseline": "fer2013_bench", "pattlite": "fer2013"}
  recipe = recipes.get(method, f"{method}_raf_db")
  small = ["--config.model.trunk=mobilenet_v1", *TINY]
  if method == "apvit":
    small += [
      "--config.model.width=16",
      "--config.model.heads=2",
      "--config.model.depth=2",
    ]
  if method == "dan":
    small.append("--config.model.head_features=8")
  found, _ = compile_for(
    tmp_path,
    f"--config={recipe}",
    f"--topology={topology}",
    "--batch_size=32",
    *small,
  )
  assert found["programs"]["train step, stage1"]["estimated_cycles"] > 0
