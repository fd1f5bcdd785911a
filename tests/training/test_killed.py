"""The command, killed again and again, ends as if it had never been.

Two runs are killed by SIGKILL and started again by the same command until they
end: one at named moments, one at random ones. Both are compared, bit for bit,
with a run that nothing disturbs. Takes minutes: pytest -m "not slow" leaves it
out.
"""

import concurrent.futures
import contextlib
import functools
import importlib
import json
import multiprocessing
import os
import pathlib
import random
import re
import runpy
import shutil
import signal
import sys
import time

import jax
import numpy as np
import pytest
import xla_flags

from pattlite_jax.training import resume, stop
from pattlite_jax.weights import checkpoint

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]
STAGE_EPOCHS = 4
STEPS = 2 * STAGE_EPOCHS * 6  # An epoch has 6.
KILLS_IN_TRAINING = 4
FLAGS = (
  f"--config={ROOT}/configs/fer2013.py",
  "--config.data.dir=../data",
  "--config.data.prepared_dir=prepared",
  "--config.workdir=run",  # All in the process' own working directory.
  "--config.batch_size=8",
  "--config.model.image_size=24",
  "--config.model.cut=conv_pw_1_relu",
  f"--config.stage1.epochs={STAGE_EPOCHS}",
  "--config.stage1.patience=100",
  "--config.stage1.monitor=train_accuracy",
  f"--config.stage2.epochs={STAGE_EPOCHS}",
  "--config.stage2.trunk=all_but_bn",
  "--config.log_every_steps=3",
  "--config.checkpoint_every_steps=4",
)
# A start is a fork of a process that has imported what takes seconds.
STARTS = multiprocessing.get_context("forkserver")
STARTS.set_forkserver_preload(
  ["clu.metric_writers", "pattlite_jax.training.loop", "tensorflow_datasets"]
)


def command(folder, log, devices, moment):
  """Is the command in a process of its own, ended by SIGKILL at the moment."""
  os.chdir(folder)
  for descriptor in (1, 2):
    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), descriptor)
  os.environ["XLA_FLAGS"] = xla_flags.for_devices(devices)
  jax.config.update("jax_platforms", "cpu")
  if moment:
    kill_at(moment)
  sys.argv[1:] = FLAGS
  runpy.run_module("pattlite_jax.main", run_name="__main__", alter_sys=True)


def kill_at(moment):
  """Ends this process as the moment's function is called for the n-th time."""
  module, name, n = moment.split(":")
  owner = importlib.import_module(module)
  *path, name = name.split(".")
  owner = functools.reduce(getattr, path, owner)
  real, calls = getattr(owner, name), []

  def killed(*args, **kwargs):
    calls.append(None)
    if len(calls) == int(n):
      os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)

  setattr(owner, name, killed)


# In the order in which a run comes to them. What has been saved before lets
# each start come further.
MOMENTS = (
  "tensorflow_datasets:features.Image.encode_example:20",  # Preparing data.
  "pattlite_jax.weights.checkpoint_items:to_save:1",  # Before the first save.
  "pattlite_jax.scoring.metrics:score:2",  # In the second validation.
  "pattlite_jax.training.callbacks:early_stopping:1",  # Not saved yet.
  "a save",
  "pattlite_jax.training.step:create_state:2",  # Between the stages.
  "pattlite_jax.runtime.parallel:gather_rows:3",  # Stage 2 validates 4 times.
  "a save",
  "pattlite_jax.training.result:_score:1",  # All trained, nothing reported.
  "pattlite_jax.scoring.pictures:save:2",  # Half of the pictures drawn.
)


class Life:
  """A folder with a run that is started as often as it takes."""

  def __init__(self, folder):
    folder.mkdir()
    self.folder = folder
    self.workdir = folder / "run"
    self.starts = 0

  @contextlib.contextmanager
  def started(self, *, devices=1, moment=""):
    """The process; killed at the end if it still runs."""
    self.starts += 1
    self.log = self.folder / f"{self.starts}.log"
    self.log.touch()
    process = STARTS.Process(
      target=command, args=(self.folder, self.log, devices, moment)
    )
    process.start()
    try:
      yield process
    finally:
      process.kill()
      process.join()

  def end_of(self, process):
    """Waits for the process; returns its exit status, or minus its signal."""
    process.join(300)
    return process.exitcode

  def finish(self, devices=1):
    with self.started(devices=devices) as process:
      assert self.end_of(process) == 0, self.log.read_text()

  def wait_for(self, happened, process):
    """Waits until `happened(log text)` while the process runs."""
    deadline = time.monotonic() + 300
    while not happened(self.log.read_text()):
      assert process.exitcode is None, self.log.read_text()
      assert time.monotonic() < deadline
      time.sleep(0.001)

  def kill_at(self, moment):
    with self.started(moment=moment) as process:
      assert self.end_of(process) == -signal.SIGKILL, self.log.read_text()

  def kill_in_a_save(self, rng):
    """Kills soon after the folder of a save is seen; tells if it is left."""
    folder = self.workdir / checkpoint.FOLDER
    with self.started() as process:
      before = set(folder.glob("*tmp*"))
      self.wait_for(lambda _: set(folder.glob("*tmp*")) - before, process)
      time.sleep(rng.uniform(0, 0.05))
      process.kill()
    return bool(set(folder.glob("*tmp*")) - before)

  def kill_after(self, seconds, happened):
    with self.started() as process:
      self.wait_for(happened, process)
      time.sleep(seconds)
      process.kill()
      assert self.end_of(process) == -signal.SIGKILL, self.log.read_text()

  def ask_to_stop(self, number):
    """Sends a signal in a step; returns what the process says at its end."""
    with self.started() as process:
      self.wait_for(trains, process)
      os.kill(process.pid, number)
      assert self.end_of(process) == stop.EXIT_STATUS, self.log.read_text()
    return self.log.read_text().splitlines()[-1]


def trains(log, step=0):
  """Whether the log has a line of training from this step on."""
  logged = re.findall(r"^step (\d+) of ", log, re.MULTILINE)
  return any(int(found) >= step for found in logged)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """A file of the contest's layout, with faces of noise, in data/."""
  folder = tmp_path_factory.mktemp("lives")
  (folder / "data").mkdir()
  rng = np.random.default_rng(0)
  lines = ["emotion,pixels,Usage"]
  for i in range(66):
    usage = ("Training", "Training", "PublicTest")[i % 3]
    pixels = " ".join(map(str, rng.integers(0, 256, 48 * 48)))
    lines.append(f"{i % 7},{pixels},{usage}")
  (folder / "data/fer2013.csv").write_text("\n".join(lines))
  return folder


def live_undisturbed(folder):
  life = Life(folder / "unbroken")
  life.finish()
  return life


def live_through_moments(folder):
  """Returns the run, and one that takes its last steps on two devices."""
  life = Life(folder / "moments")
  rng = random.Random(0)
  hits = []
  for moment in MOMENTS:
    if moment == "a save":
      hits.append(life.kill_in_a_save(rng))
      continue
    life.kill_at(moment)
    if "gather_rows" in moment:
      on_two = Life(folder / "on_two")
      shutil.copytree(life.workdir, on_two.workdir)
  assert any(hits), "No kill came while a save was under way."
  life.finish()
  on_two.finish(devices=2)
  return life, on_two


def live_at_random(folder):
  """Kills at times that are spread over start-up and training."""
  life = Life(folder / "random")
  rng = random.Random(1)
  life.kill_after(rng.uniform(0, 5), lambda log: True)
  for number in (signal.SIGTERM, signal.SIGINT):
    last = life.ask_to_stop(number)
    assert last.startswith(f"Stopped by {number.name}. Step ")
    assert "start the same command again" in last
  # By steps, not by seconds: no machine is so fast, or fast by turns, that a
  # life comes to the end.
  share = STEPS // (KILLS_IN_TRAINING + 1)
  for i in range(KILLS_IN_TRAINING):
    step = i * share + rng.randrange(share)
    life.kill_after(rng.uniform(0, 0.05), functools.partial(trains, step=step))
  life.finish()
  return life


@pytest.fixture(scope="module")
def lives(folder):
  with concurrent.futures.ThreadPoolExecutor() as pool:
    moments = pool.submit(live_through_moments, folder)
    unbroken = live_undisturbed(folder)
    at_random = live_at_random(folder)
    through_moments, on_two = moments.result()
  return {
    "unbroken": unbroken,
    "moments": through_moments,
    "random": at_random,
    "on_two": on_two,
  }


def saved(life):
  with checkpoint.open_manager(life.workdir) as manager:
    return checkpoint.restore_newest(manager, resume.ITEMS)


@pytest.mark.parametrize("name", ["moments", "random"])
def test_a_killed_run_ends_as_an_unbroken_one_bit_for_bit(lives, name):
  unbroken, killed = lives["unbroken"], lives[name]
  assert killed.starts > 7
  (step, items), (other_step, others) = saved(unbroken), saved(killed)
  assert step == other_step == STEPS
  leaves, structure = jax.tree.flatten(items)
  other_leaves, other_structure = jax.tree.flatten(others)
  assert structure == other_structure
  for mine, other in zip(leaves, other_leaves, strict=True):
    np.testing.assert_array_equal(mine, other)
  result, other_result = (
    json.loads((life.workdir / "result.json").read_text())
    for life in (unbroken, killed)
  )
  # All but the revision, which a commit meanwhile would change: figures,
  # history, command, versions, device.
  del result["git_revision"], other_result["git_revision"]
  assert result == other_result
  pictures = [
    sorted(os.listdir(life.workdir / "pictures")) for life in (unbroken, killed)
  ]
  assert pictures[0] == pictures[1]


def test_nothing_is_left_of_killed_saves(lives):
  for life in lives.values():
    folder = life.workdir / checkpoint.FOLDER
    assert all(path.name.isdigit() for path in folder.iterdir())
    assert len(list(folder.iterdir())) == 2


def test_a_run_goes_on_with_another_number_of_devices(lives):
  (_, items), (_, others) = saved(lives["unbroken"]), saved(lives["on_two"])
  state, other = items["state"], others["state"]
  assert state["step"] == other["step"]
  result = json.loads((lives["on_two"].workdir / "result.json").read_text())
  assert result["device"] == "2 x cpu"
  for kind in ("params", "batch_stats"):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-5),
      state[kind],
      other[kind],
    )
