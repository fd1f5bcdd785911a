"""The step on 1, 2 and 4 devices, each simulated in a process of its own."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from pattlite_jax.runtime import parallel

# Three steps of each attention mode with dropout, augmentation and a padded
# batch; the trunk trains, so that every kind of gradient crosses the devices.
# The second stage's Adam, and plain gradient descent beside it: Adam's steps
# are so alike in size that they would hide a gradient that is off by a factor.
SCRIPT = """
import functools
import sys
import jax
import jax.numpy as jnp
import numpy as np
import optax
from pattlite_jax import config_files
from pattlite_jax import build, parallel, predict, steps
from pattlite_jax.data import examples as examples_lib

jax.config.update("jax_default_matmul_precision", "highest")
rng = np.random.default_rng(0)
examples = examples_lib.Examples(
  rng.integers(0, 25 * np.arange(1, 11)[:, None, None, None], (10, 24, 24, 1))
  .astype(np.uint8),
  rng.integers(0, 3, 10).astype(np.int32),
  np.arange(10).astype(str),
  ("a", "b", "c"),
)
leaves = {}
for attention, kind in (
  ("batch", "descent"), ("token", "adam"), ("token", "best")
):
  descent = kind != "adam"
  config = config_files.load("fer2013")
  config.model.attention = attention
  config.model.image_size = 24
  config.model.cut = "conv_pw_1_relu"
  config.batch_size = 8
  config.stage2.trunk = "all_but_bn"
  if kind == "best":  # What the published recipe lacks.
    config.stage2.trunk = "all"
    config.stage2.trunk_statistics = "batch"
    config.stage2.ema_decay = 0.9
    config.stage2.label_smoothing = 0.1
    config.augment.random_rotation = 20.0
    config.augment.random_erasing = 0.5
  tx, trainable, train_step = build.build_train(config, "stage2", examples)
  if descent:
    tx = optax.sgd(0.1)
    step = build.train_step(config, "stage2", examples)
    step = functools.partial(step, tx=tx)
    train_step = parallel.pmap_train_step(
      functools.partial(steps.train_steps, step=step)
    )
  variables = build.init_variables(config, 3)
  state = parallel.replicate(steps.create_state(
    variables, tx, trainable, averaged=kind == "best"
  ))
  rows = [np.arange(8), np.array([8, 9, 0, -1, -1, -1, -1, -1]), np.arange(8)]
  batches = (examples_lib.gather(examples, r) for r in rows)
  for stack in parallel.device_stacks(batches, [2, 1]):
    state, metrics = train_step(state, stack, jax.random.key(0))
  moved = jax.tree.map(jnp.subtract, state.params, variables["params"])
  tree = {"moved": moved, "stats": state.batch_stats, "metrics": metrics}
  if kind == "best":
    tree["average"] = state.average.values
  if not descent:
    tree["logits"] = predict.predict(
      build.build_predict(config, 3), state.variables, examples, batch_size=3
    )
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    name = f"{attention} {kind}"
    leaves[name + jax.tree_util.keystr(path)] = np.asarray(leaf)
np.savez(sys.argv[1], **leaves)
"""


def run_on(num_devices, path):
  flags = f"--xla_force_host_platform_device_count={num_devices}"
  return subprocess.Popen(
    [sys.executable, "-c", SCRIPT, str(path)],
    env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
  )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
  folder = tmp_path_factory.mktemp("devices")
  runs = {n: run_on(n, folder / f"{n}.npz") for n in (1, 2, 4)}
  assert [run.wait() for run in runs.values()] == [0, 0, 0]
  return {n: dict(np.load(folder / f"{n}.npz")) for n in runs}


@pytest.mark.parametrize("num_devices", [2, 4])
def test_devices_train_as_one(results, num_devices):
  one, many = results[1], results[num_devices]
  assert one.keys() == many.keys()
  worst = {
    k: float(np.abs(one[k] - many[k]).max() / max(1, np.abs(one[k]).max()))
    for k in one
  }
  off = {k: v for k, v in worst.items() if v >= 1e-5}
  assert not off, json.dumps(off, indent=1)


def test_every_kernel_moved(results):
  moved = {
    k: v
    for k, v in results[1].items()
    if "descent['moved']" in k and "kernel" in k
  }
  assert len(moved) == 10
  assert min(np.abs(v).max() for v in moved.values()) > 1e-4


def test_a_batch_that_devices_cannot_share_is_an_error(monkeypatch):
  monkeypatch.setattr(parallel, "num_devices", lambda: 4)
  with pytest.raises(ValueError, match=r"config.batch_size is 6.*4 devices"):
    parallel.check_batch_size(6)
  assert [parallel.pad_to_devices(n) for n in (1, 4, 5)] == [4, 4, 8]
