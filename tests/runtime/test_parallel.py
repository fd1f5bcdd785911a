"""The step on 1, 2, 4 and 8 devices, each simulated in a process of its own."""

import functools
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xla_flags

from pattlite_jax import methods
from pattlite_jax.runtime import parallel
from pattlite_jax.training import step as step_lib

CASES = (
  ("pattlite", "batch", "descent"),
  ("pattlite", "token", "adam"),
  ("eac", "", "best"),
  ("arm", "batch", "descent"),
  ("dan", "", "descent"),
  ("cbam_rul", "", "descent"),
  ("label_correction", "", "descent"),
)
# These do nothing across images that no other case does.
ALIKE = (
  ("pattlite", "token", "best"),
  ("baseline", "", "descent"),
  ("apvit", "", "descent"),
  ("ldam_focal", "", "descent"),
)

# Three steps of each attention mode with dropout, augmentation and a padded
# batch; the trunk trains, so that every kind of gradient crosses the devices.
# The second stage's Adam, and plain gradient descent beside it: Adam's steps
# are so alike in size that they would hide a gradient that is off by a factor.
SCRIPT = """
import dataclasses
import itertools
import json
import sys
import jax
import jax.numpy as jnp
import numpy as np
import optax
from pattlite_jax import methods
from pattlite_jax.config import files as config_files
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime import parallel
from pattlite_jax.scoring import logits as logits_lib
from pattlite_jax.training import dispatch, setup

jax.config.update("jax_default_matmul_precision", "highest")
# Images in which no rounding makes another pixel CBAM's maximum: all gradients
# before it would be others, too.
rng = np.random.default_rng(3)
examples = examples_lib.Examples(
  rng.integers(0, 25 * np.arange(1, 11)[:, None, None, None], (10, 24, 24, 1))
  .astype(np.uint8),
  rng.integers(0, 3, 10).astype(np.int32),
  np.arange(10).astype(str),
  ("a", "b", "c"),
)
examples = examples_lib.numbered(examples)
leaves = {}
for method, mode, kind in json.loads(sys.argv[2]):
  descent = kind != "adam"
  config = config_files.load("fer2013")
  config.method = method
  if mode:
    config.model["sharing" if method == "arm" else "attention"] = mode
  config.model.head_features = 8
  config.model.image_size = 24
  config.model.cut = "conv_pw_1_relu"
  config.model.depth, config.model.width, config.model.heads = 2, 16, 2
  config.model.embedding_size = 8
  config.model.relabel_after_epochs = config.model.relabel_margin = 0.0
  config.batch_size = 8
  config.stage2.epochs = 1
  config.stage2.trunk = "all_but_bn"
  if kind == "best":  # What the published recipe lacks.
    config.stage2.trunk = "all"
    config.stage2.trunk_statistics = "batch"
    config.stage2.ema_decay = 0.9
    config.stage2.label_smoothing = 0.1
    config.augment.random_rotation = 20.0
    config.augment.random_erasing = 0.5
  stage = setup.stage(config, "stage2", examples)
  if descent:
    stage = dataclasses.replace(stage, tx=optax.sgd(0.1))
  take_steps = dispatch.mapped(stage.step)
  variables = setup.init_variables(config, 3)
  state = parallel.replicate(stage.start(variables))
  rows = [np.arange(8), np.array([8, 9, 0, -1, -1, -1, -1, -1]), np.arange(8)]
  batches = (examples_lib.gather(examples, r) for r in itertools.cycle(rows))
  sizes = (3,) if kind == "adam" else (1, 1, 1)
  stacks = dispatch.stacks(
    batches, first_step=0, steps_per_epoch=3, steps_per_dispatch=sizes[0]
  )
  for size in sizes:
    found, stack = next(stacks)
    assert found == size
    state, metrics = take_steps(state, stack, jax.random.key(0))
  moved = jax.tree.map(jnp.subtract, state.params, variables["params"])
  tree = {"moved": moved, "stats": state.batch_stats, "metrics": metrics}
  if kind == "best":
    tree["average"] = state.average.values
  if state.labels is not None:
    tree["labels"] = state.labels
  if not descent:
    scoring = methods.build(config, 3)
    tree["logits"] = logits_lib.Predictor(scoring, scoring.network)(
      state.variables, examples, batch_size=3
    )
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    name = f"{method} {mode} {kind}"
    leaves[name + jax.tree_util.keystr(path)] = np.asarray(leaf)
np.savez(sys.argv[1], **leaves)
"""


def run_on(num_devices, cases, path):
  flags = xla_flags.for_devices(num_devices)
  subprocess.run(
    [sys.executable, "-c", SCRIPT, str(path), json.dumps(cases)],
    env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
    check=True,
    timeout=600,
  )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
  """Returns (a number of devices, cases) -> {name: array}; each runs once."""
  folder = tmp_path_factory.mktemp("devices")

  @functools.cache
  def results_on(num_devices, cases):
    path = folder / f"{num_devices}_{len(cases)}.npz"
    run_on(num_devices, cases, path)
    return dict(np.load(path))

  return results_on


def inside_a_step(function, *arrays):
  """Returns what each of two devices has, which share rows of the arrays."""
  halves = [np.array(array).reshape(2, -1) for array in arrays]
  return jax.vmap(function, axis_name=parallel.AXIS)(*halves)


def test_rows_of_devices_follow_each_other():
  found = inside_a_step(
    lambda x: parallel.global_rows(x.shape[0]), [7.0, 7, 7, 7, 7, 7]
  )
  assert found.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_mean_is_that_of_the_global_batch_and_of_its_valid_rows():
  values, mask = [1.0, 2, 4, 8], [True, True, True, False]
  found = inside_a_step(parallel.batch_mean, values, mask)
  np.testing.assert_allclose(found, [7 / 3, 7 / 3])


def test_rows_of_all_devices_are_gathered_in_order():
  found = inside_a_step(parallel.gather_batch, [1.0, 2, 4, 8])
  assert found.tolist() == [[1, 2, 4, 8]] * 2
  rows = jnp.array([3.0, 5])
  assert parallel.gather_batch(rows, None) is rows


def test_programs_may_be_for_another_platform_for_a_while():
  assert parallel.platform() == jax.default_backend()
  with parallel.programs_for("tpu"):
    with parallel.programs_for("gpu"):
      assert parallel.platform() == "gpu"
    assert parallel.platform() == "tpu"
  assert parallel.platform() == jax.default_backend()


@pytest.mark.parametrize("prefetch", [0, 1, 2, 5])
def test_batches_are_split_over_devices_ahead_of_their_use(prefetch):
  taken = []

  def batches():
    for number in range(4):
      taken.append(number)
      yield {"x": np.full((2, 6, 3), number)}

  found = parallel.on_devices(batches(), batch_axis=1, prefetch=prefetch)
  first = next(found)
  # Axis 1 is of the images; that of the devices comes first.
  assert first["x"].shape == (1, 2, 6, 3) and not first["x"].any()
  assert len(taken) == min(prefetch + 1, 4)
  assert [int(x["x"][0, 0, 0, 0]) for x in found] == [1, 2, 3]


def test_one_device_of_one_host_takes_any_batch_and_writes():
  parallel.check_batch_size(3)
  assert parallel.host() == (0, 1) and parallel.is_writer()


def test_the_state_that_went_into_a_step_is_given_up():
  step = parallel.pmap_train_step(lambda state, batch, key: (state + 1, batch))
  state = parallel.replicate(jnp.zeros(3))
  (batch,) = parallel.device_batches([{"x": np.zeros(2)}])
  after, _ = step(state, batch["x"], jax.random.key(0))
  assert after.tolist() == [1, 1, 1] and state.is_deleted()


def test_the_steps_of_many_hosts_return_what_they_change(monkeypatch):
  """And keep the state that went in; here one host stands for two."""

  class Elsewhere:
    process_index = 1

  def step(state, batch, key):
    return {"frozen": state["frozen"], "moved": state["moved"] + 1}, batch

  devices = jax.devices()
  with monkeypatch.context() as patch:
    patch.setattr(jax, "devices", lambda: [*devices, Elsewhere()])
    mapped = parallel.pmap_train_step(step)
  state = parallel.replicate({"frozen": jnp.ones(3), "moved": jnp.zeros(2)})
  (batch,) = parallel.device_batches([{"x": np.zeros(2)}])
  changed, _ = mapped(state, batch["x"], jax.random.key(0))
  assert changed["frozen"] is None
  after = step_lib.merge(changed, state)
  assert after["moved"].tolist() == [1, 1]
  assert after["frozen"] is state["frozen"] and not state["moved"].is_deleted()


def test_rows_of_shares_come_in_order_without_padding():
  shares = [jnp.arange(n, n + 12.0).reshape(2, 2, 3) for n in (0, 12)]
  found = parallel.gather_rows(shares, 3)
  assert found[:, 0].tolist() == [0, 3, 6, 12, 15, 18]
  assert parallel.gather_rows(shares[:1], 2)[:, 0].tolist() == [0, 3]


def test_every_method_is_tried_here():
  assert {method for method, *_ in CASES + ALIKE} == methods.METHODS.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
  "num_devices, cases",
  [
    (8, CASES),  # One image a device.
    pytest.param(8, ALIKE, marks=pytest.mark.long),
    pytest.param(4, CASES, marks=pytest.mark.long),
    pytest.param(2, CASES, marks=pytest.mark.long),
  ],
)
def test_devices_train_as_one(results, num_devices, cases):
  one, many = results(1, cases), results(num_devices, cases)
  assert one.keys() == many.keys()
  worst = {
    k: float(np.abs(one[k] - many[k]).max() / max(1, np.abs(one[k]).max()))
    for k in one
  }
  # DAN divides by the deviation of features that hardly differ at this size,
  # and its squeezed ones grow to hundreds.
  allowed = {k: 1e-5 for k in one} | {
    k: 1e-3 if "squeeze" in k else 3e-4 for k in one if k.startswith("dan")
  }
  off = {k: v for k, v in worst.items() if v >= allowed[k]}
  assert not off, json.dumps(off, indent=1)


# Kernels of PAtt-Lite, EAC and the others as in CASES.
KERNELS = [(CASES, 10 + 4 + 5 + 24 + 8 + 5)]
KERNELS += [pytest.param(ALIKE, 4 + 13 + 4, marks=pytest.mark.long)]


@pytest.mark.slow
@pytest.mark.parametrize("cases, num_kernels", KERNELS)
def test_every_step_was_finite_and_moved_every_kernel(
  results, cases, num_kernels
):
  found = results(1, cases)
  counts = {k: v.sum() for k, v in found.items() if k.endswith(".count")}
  assert len(counts) == len(cases) and min(counts.values()) > 0, counts
  moved = {
    k: v
    for k, v in found.items()
    if "['moved']" in k
    and "kernel" in k
    and not k.startswith("pattlite token")
    and "squeeze" not in k  # DAN's have hardly a gradient at first.
  }
  assert len(moved) == num_kernels
  assert min(np.abs(v).max() for v in moved.values()) > 1e-4


def test_a_batch_that_devices_cannot_share_is_an_error(monkeypatch):
  monkeypatch.setattr(parallel, "num_devices", lambda: 4)
  with pytest.raises(ValueError, match=r"config.batch_size is 6.*4 devices"):
    parallel.check_batch_size(6)
  assert [parallel.pad_to_devices(n) for n in (1, 4, 5)] == [4, 4, 8]


WITHOUT_CUDA = """
from pattlite_jax import trained
from pattlite_jax.runtime import errors, parallel
with errors.in_one_line():
  {call}
"""


PORT = "pattlite_jax.weights.keras_port --model=absent.keras --out=out"


@pytest.mark.parametrize(
  "arguments",
  [
    ["-c", WITHOUT_CUDA.format(call="parallel.require_devices()")],
    ["-c", WITHOUT_CUDA.format(call="trained.load('ferplus')")],
    ["-m", *PORT.split()],
  ],
)
def test_a_platform_that_is_not_there_is_one_line(arguments):
  done = subprocess.run(
    [sys.executable, *arguments],
    env=os.environ | {"JAX_PLATFORMS": "cuda"},
    capture_output=True,
    text=True,
  )
  if done.returncode == 0:
    pytest.skip("there is a GPU")
  assert done.returncode == 1
  (line,) = done.stderr.splitlines()
  assert line.startswith("Error: JAX finds no device of JAX_PLATFORMS=cuda")
  assert "JAX_PLATFORMS=cpu" in line and "cuda]" in line
