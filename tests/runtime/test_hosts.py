"""Two hosts, as two processes on this machine, against one; a host that dies.

They run the real command, through launch/local_processes.sh.
"""

import collections
import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
import xla_flags

from pattlite_jax import config as config_lib
from pattlite_jax.data import packed, source
from pattlite_jax.runtime import hosts
from pattlite_jax.training import setup, stop
from pattlite_jax.weights import checkpoint

ROOT = pathlib.Path(__file__).parents[2]
WATCHED = ["python", "tests/watched_main.py"]
PACKED = "faces.npz"
SPLITS = {"Training": 18, "PublicTest": 9, "PrivateTest": 7}
STEPS, EPOCHS, BATCH_SIZE = 3, 3, 8  # An epoch's last batch holds 2.
# Just before batch norm, which takes it away again: its gradient is rounding
# noise, of which Adam makes whole steps. The norm's mean follows it.
FREE = ("pre_classifier']['bias", "pre_classifier_bn']['mean")

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Holds fer2013.csv, with every image unlike the others."""
  folder = tmp_path_factory.mktemp("hosts")
  rng = np.random.default_rng(0)
  lines = ["emotion,pixels,Usage"]
  for usage, count in SPLITS.items():
    for i in range(count):
      pixels = 25 * (i % 7) + rng.integers(0, 60, 48 * 48)
      lines.append(f"{i % 7},{' '.join(map(str, pixels))},{usage}")
  (folder / "fer2013.csv").write_text("\n".join(lines))
  data = config_lib.get_config().data
  data.name, data.dir = "fer2013", str(folder)
  data.prepared_dir = str(folder / "prepared")
  packed.write(folder / PACKED, data.name, source.of_config(data).load())
  return folder


def arguments(folder, name, *others):
  return [
    "--config=configs/fer2013.py",
    f"--config.data.dir={folder}",
    f"--config.data.prepared_dir={folder}/prepared",
    f"--config.workdir={folder}/{name}",
    f"--config.batch_size={BATCH_SIZE}",
    "--config.model.image_size=24",
    "--config.model.cut=conv_pw_1_relu",
    f"--config.stage1.epochs={EPOCHS}",
    "--config.stage1.learning_rate=1e-4",
    "--config.stage2.epochs=0",
    "--config.eval.batch_size=3",
    *others,
  ]


def from_packed(folder, name):
  """The same, from the packed file: hosts start sooner without TensorFlow."""
  return arguments(folder, name, f"--config.data.packed={folder / PACKED}")


def start(command, folder, name, *, devices=2, **variables):
  """Starts a command in the repository, where each host has some devices."""
  drawn = folder / f"{name}_drawn"
  drawn.mkdir(exist_ok=True)
  bin_folder = pathlib.Path(sys.executable).parent
  own = {
    "PATH": f"{bin_folder}:{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT),
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": xla_flags.for_devices(devices),
    "DRAWN": str(drawn),
  }
  return subprocess.Popen(
    command,
    cwd=ROOT,
    env=os.environ | own | variables,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def finish(process):
  """Returns (exit status, stdout, stderr)."""
  try:
    out, err = process.communicate(timeout=400)
  except subprocess.TimeoutExpired:
    process.terminate()
    raise
  return process.returncode, out, err


def run_hosts(command, folder, name, **variables):
  launch = ["launch/local_processes.sh", "2", "--"]
  return finish(start(launch + command, folder, name, **variables))


def drawn_by(folder, name, host):
  """Returns the images' digests of each step, without what was prefetched."""
  path = folder / f"{name}_drawn" / f"{host}.jsonl"
  batches = map(json.loads, path.read_text().splitlines())
  return {
    b["step"]: b["images"] for b in batches if b["step"] <= STEPS * EPOCHS
  }


def final_state(folder, name):
  """Returns {path: array} of the last step's variables."""
  with checkpoint.open_manager(folder / name) as manager:
    assert manager.latest_step() == STEPS * EPOCHS
    items = ocp.args.Composite(state=ocp.args.StandardRestore())
    state = manager.restore(manager.latest_step(), args=items)["state"]
  kept = {name: state[name] for name in ("params", "batch_stats")}
  leaves = jax.tree_util.tree_leaves_with_path(kept)
  return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def result_of(folder, name):
  return json.loads((folder / name / "result.json").read_text())


@pytest.fixture(scope="module")
def two_hosts(folder):
  name = "two_hosts"
  status, out, err = run_hosts(WATCHED + arguments(folder, name), folder, name)
  assert status == 0, err
  return out, err


@pytest.fixture(scope="module")
def one_host(folder, two_hosts):
  """Returns a number of devices -> name of a run on one host with so many."""

  @functools.cache
  def run_on(devices):
    name = f"one_host_{devices}"
    command = [sys.executable, *WATCHED[1:], *from_packed(folder, name)]
    status, _, err = finish(start(command, folder, name, devices=devices))
    assert status == 0, err
    return name

  return run_on


@slow
def test_each_epoch_shares_every_image_once(folder, two_hosts):
  rows = (folder / "fer2013.csv").read_text().splitlines()[1:]
  images = [
    hashlib.sha256(bytes(map(int, row.split(",")[1].split()))).hexdigest()
    for row in rows
    if row.endswith("Training")
  ]
  shares = [drawn_by(folder, "two_hosts", host) for host in (0, 1)]
  for epoch in range(EPOCHS):
    steps = range(STEPS * epoch + 1, STEPS * (epoch + 1) + 1)
    seen = collections.Counter(
      image for share in shares for step in steps for image in share[step]
    )
    assert seen == dict.fromkeys(images, 1)
    assert all(len(share[steps[0]]) == BATCH_SIZE // 2 for share in shares)


@slow
@pytest.mark.parametrize(
  "devices", [1, pytest.param(4, marks=pytest.mark.long)]
)
def test_two_hosts_train_as_one(folder, one_host, devices):
  one = final_state(folder, one_host(devices))
  two = final_state(folder, "two_hosts")
  assert one.keys() == two.keys()
  config = config_lib.get_config()
  config.model.image_size, config.model.cut = 24, "conv_pw_1_relu"
  initial = {
    jax.tree_util.keystr(path): leaf
    for path, leaf in jax.tree_util.tree_leaves_with_path(
      setup.init_variables(config, 7)
    )
  }
  trained = 0
  for name in one:
    if not any(free in name for free in FREE):
      np.testing.assert_allclose(two[name], one[name], atol=1e-6, err_msg=name)
      trained += np.abs(one[name] - initial[name]).max() > 2e-4
  # Such steps make the tolerance mean something.
  assert trained >= 11


@slow
def test_two_hosts_score_every_example_once(folder, one_host):
  one, two = result_of(folder, one_host(1)), result_of(folder, "two_hosts")
  counts = [s["per_sample"]["num_examples"] for s in two["splits"].values()]
  assert counts == list(SPLITS.values())
  for split, scores in one["splits"].items():
    alone, other = scores["per_sample"], two["splits"][split]["per_sample"]
    assert other["loss"] == pytest.approx(alone["loss"], abs=1e-5)
    assert other["confusion_matrix"] == alone["confusion_matrix"]
  for a, b in zip(one["history"], two["history"], strict=True):
    assert a["val_loss"] == pytest.approx(b["val_loss"], abs=1e-5)


@slow
def test_one_host_writes(folder, two_hosts):
  out, err = two_hosts
  for pattern in ("events.out.tfevents.*", "result.json", "preflight*"):
    found = list((folder / "two_hosts").rglob(pattern))
    assert len(found) == (pattern != "preflight*"), found
  assert out.count("accuracy one image at a time") == 1
  assert err.count("Preflight: 2 hosts agree, with 2 local devices each") == 1
  assert len(re.findall(r"^\[\d\] epoch 1 of 3: ", out, re.MULTILINE)) == 1


@pytest.mark.long
@slow
def test_other_commands_count_once_on_two_hosts(folder, two_hosts):
  trained = f"--checkpoint={folder}/two_hosts"
  scores, report = folder / "scores.json", folder / "audit.json"
  command = ["python", "-m", "pattlite_jax.evaluate", trained]
  command += ["--batch_size=3", f"--json={scores}"]
  status, out, err = run_hosts(command, folder, "evaluate")
  assert status == 0, err
  assert out.count("Protocol: one image at a time") == 1
  test, figures = (
    result["splits"]["test"]["per_sample"]
    for result in (
      result_of(folder, "two_hosts"),
      json.loads(scores.read_text()),
    )
  )
  assert figures["loss"] == pytest.approx(test["loss"], abs=1e-6)
  assert figures["num_examples"] == SPLITS["PrivateTest"]

  command = ["python", "-m", "pattlite_jax.audit", trained]
  command += ["--num_images=8", f"--json={report}"]
  status, out, err = run_hosts(command, folder, "audit")
  assert status == 0, err
  assert out.count("batch dependence  pass") == 1
  assert json.loads(report.read_text())["batch_dependence"]["passed"]


@pytest.fixture(scope="module")
def stopped(folder):
  """A run of which one host is asked to stop; what it said."""
  command = WATCHED + from_packed(folder, "broken")
  return run_hosts(command, folder, "stops", STOPS_AT="1:1", PACE="1")


@pytest.fixture(scope="module")
def died(folder, stopped):
  """The same run, started again, until a host dies; what it said, seconds."""
  command = WATCHED + from_packed(folder, "broken")
  started = time.monotonic()
  said = run_hosts(command, folder, "dies", DIES_AT="1:9")
  return *said, time.monotonic() - started


@slow
def test_termination_of_one_host_stops_all_after_the_same_step(stopped):
  status, _, err = stopped
  assert status == stop.EXIT_STATUS, err
  assert 1 <= _step_of_stop(err) < STEPS * EPOCHS


def _step_of_stop(err):
  steps = re.findall(r"\[(\d)\] Stopped by .* Step (\d+) is saved", err)
  assert sorted(host for host, _ in steps) == ["0", "1"], err
  ((step,),) = [{step for _, step in steps}]
  return int(step)


@slow
def test_a_host_that_dies_ends_the_others(folder, stopped, died):
  status, out, err, seconds = died
  assert out.count(f"Going on at step {_step_of_stop(stopped[2])}.") == 1
  assert status != 0
  # The start, and 20 for the heartbeats, on a busy machine; a host that is
  # not told of the death waits for ever.
  assert seconds < 300
  assert max(drawn_by(folder, "dies", host=1)) == 8, err
  assert "tasks are unhealthy (stopped sending heartbeats)" in err


@slow
def test_a_run_goes_on_after_a_stop_and_a_death(folder, two_hosts, died):
  assert not (folder / "broken" / "result.json").exists()
  command = WATCHED + from_packed(folder, "broken")
  status, out, err = run_hosts(command, folder, "ends")
  assert status == 0, err
  assert "Going on at step 3." in out or "Going on at step 6." in out
  names = ("two_hosts", "broken")
  unbroken, resumed = (final_state(folder, name) for name in names)
  jax.tree.map(np.testing.assert_array_equal, resumed, unbroken)
  splits = [result_of(folder, name)["splits"] for name in names]
  assert splits[0] == splits[1]


@slow
def test_hosts_that_differ_stop_before_the_first_step(folder):
  name = "differ"
  other = folder / "other_seed.sh"
  other.write_text(
    'if [[ "$*" == *--process_id=1* ]]; then set -- "$@" --config.seed=7; fi\n'
    'exec python -m pattlite_jax.main "$@"\n'
  )
  command = ["bash", str(other), *from_packed(folder, name)]
  status, _, err = run_hosts(command, folder, name)
  assert status == 1
  for host in (0, 1):
    assert f"[{host}]   config.seed is 7 on host 1 (" in err
  assert "but 0 on host 0 (" in err
  for pattern in ("events.out.tfevents.*", "checkpoints/*", "preflight*"):
    assert not list((folder / name).glob(pattern))


def test_incomplete_flags_are_one_clear_error():
  check = hosts._are_complete
  place = {
    "coordinator_address": "localhost:1",
    "num_processes": 2,
    "process_id": 1,
  }
  nothing = dict.fromkeys(place)
  assert check({"distributed": False} | nothing)
  assert check({"distributed": True} | nothing)
  assert check({"distributed": True} | place)
  assert not check({"distributed": False} | place)
  assert not check({"distributed": True} | place | {"process_id": None})
  assert not check({"distributed": True} | place | {"process_id": 2})


def test_distributed_without_a_cluster_names_the_flags(tmp_path):
  command = [sys.executable, "-m", "pattlite_jax.evaluate", "--distributed"]
  command += ["--checkpoint=none"]
  status, _, err = finish(start(command, tmp_path, "alone"))
  assert status == 1
  last = err.splitlines()[-1]
  for part in ("TPU pod, SLURM, Kubernetes or Open MPI", "--process_id"):
    assert part in last
