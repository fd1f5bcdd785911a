"""A run that is asked to stop saves where it is."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from small_run import fit, saved_best

from pattlite_jax.runtime import parallel
from pattlite_jax.training import stop
from pattlite_jax.weights import checkpoint

pytestmark = pytest.mark.usefixtures("hang_ups")

# Sends itself the signals that it is given, one after the other.
SIGNALLED = """
import os, signal, sys
from pattlite_jax.training import stop
with stop.StopRequests(lambda step: False) as stops:
  for name in sys.argv[1:]:
    os.kill(os.getpid(), getattr(signal, name))
    print(name, stops.seen(1), stops.reason, flush=True)
"""
# Trains until it is to stop, and says so at each step.
ON_A_TERMINAL = """
import fcntl, os, sys, termios, time
from pattlite_jax.runtime import output
from pattlite_jax.training import stop
if os.isatty(0):
  fcntl.ioctl(0, termios.TIOCSCTTY, 0)
output.watch()
with stop.StopRequests(lambda step: False) as stops:
  print("up", flush=True)
  step = 0
  while not stops.seen(step):
    step += 1
    time.sleep(0.01)
    print("step", step, flush=True)
print("Stopped.", flush=True)
print("Stopped.", file=sys.stderr, flush=True) if os.isatty(0) else None
sys.exit(stop.EXIT_STATUS)
"""


def signalled(*names):
  done = subprocess.run(
    [sys.executable, "-c", SIGNALLED, *names],
    capture_output=True,
    text=True,
  )
  return done.returncode, done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_a_signal_asks_to_stop_and_says_so(name):
  status, lines, stderr = signalled(name)
  assert status == 0
  assert lines == [f"{name} True {name}"]
  assert stderr.count(f"{name}: saving after this step") == 1


def test_under_nohup_a_closed_terminal_is_ignored():
  done = subprocess.run(
    ["nohup", sys.executable, "-c", SIGNALLED, "SIGHUP", "SIGTERM"],
    stdin=subprocess.DEVNULL,
    capture_output=True,
    text=True,
  )
  lines = done.stdout.splitlines()
  assert lines == ["SIGHUP False ", "SIGTERM True SIGTERM"], done.stderr


def test_a_closed_terminal_asks_to_stop_and_hurts_nothing():
  """The hang-up comes, then all that is written fails."""
  reader, writer = os.openpty()
  process = subprocess.Popen(
    [sys.executable, "-c", ON_A_TERMINAL],
    stdin=writer,
    stdout=writer,
    stderr=writer,
    start_new_session=True,
  )
  os.close(writer)
  assert b"up" in os.read(reader, 100)
  os.close(reader)
  assert process.wait(120) == stop.EXIT_STATUS


def test_a_pipe_without_a_reader_asks_to_stop():
  process = subprocess.Popen(
    [sys.executable, "-c", ON_A_TERMINAL],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == "up\n"
  process.stdout.close()
  assert process.wait(120) == stop.EXIT_STATUS
  assert (
    process.stderr.read() == "SIGHUP: saving after this step, then stopping.\n"
  )


def test_a_second_interrupt_ends_the_process_at_once():
  status, lines, _ = signalled("SIGINT", "SIGINT")
  assert status == -signal.SIGINT
  assert len(lines) == 1


def test_repeated_terminations_change_nothing():
  status, lines, stderr = signalled("SIGTERM", "SIGTERM", "SIGINT")
  assert status == 0
  assert lines[-1] == "SIGINT True SIGTERM"
  assert stderr.count("saving after") == 1


def test_handlers_are_as_before_afterwards():
  before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
  with stop.StopRequests(lambda step: False) as stops:
    assert not stops.seen(1)
    assert signal.getsignal(signal.SIGTERM) != before[0]
  assert before == [
    signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)
  ]


@pytest.fixture
def terminated():
  """The SIGTERMs that reach JAX, which listens in a run of several hosts."""
  caught = []
  before = signal.signal(signal.SIGTERM, lambda n, _: caught.append(n))
  yield caught
  signal.signal(signal.SIGTERM, before)


class TestOfSeveralHosts:
  """JAX tells every host the step after which all stop."""

  @pytest.fixture(autouse=True)
  def distributed(self, monkeypatch):
    monkeypatch.setattr(parallel, "is_distributed", lambda: True)

  def test_they_stop_at_the_step_agreed_on(self):
    with stop.StopRequests(lambda step: step == 7) as stops:
      assert [stops.seen(step) for step in (5, 6, 7, 8)] == [
        False,
        False,
        True,
        True,
      ]

  def test_it_is_found_among_steps_that_run_together(self):
    asked = []

    def reached(step):
      asked.append(step)
      return step == 7

    with stop.StopRequests(reached) as stops:
      assert [stops.seen(step) for step in (4, 8)] == [False, True]
    assert asked == [4, 5, 6, 7]

  @pytest.mark.parametrize("name", ["SIGINT", "SIGHUP", "SIGUSR1"])
  def test_termination_is_left_to_jax_and_others_become_one(
    self, terminated, name
  ):
    with stop.StopRequests(lambda step: False) as stops:
      os.kill(os.getpid(), getattr(signal, name))
      assert terminated == [signal.SIGTERM]
      assert not stops.seen(1)  # Not before all hosts have agreed.


@pytest.fixture(scope="module")
def unbroken():
  """{} for the result and the weights of the run that nothing stops."""
  return {}


# 5 is the end of an epoch, after which the run validates.
@pytest.mark.slow
@pytest.mark.parametrize("step", [3, 5])
def test_a_stopped_run_is_saved_and_goes_on_exactly(
  quick_config, splits, unbroken, step
):
  workdir = quick_config.workdir
  if not unbroken:
    quick_config.workdir += "_unbroken"
    unbroken["result"] = fit(quick_config, splits)[0]
    unbroken["weights"] = saved_best(quick_config)
    quick_config.workdir = workdir

  def terminate(at):
    if at == step - 1:  # So that `step` is the one under way.
      os.kill(os.getpid(), signal.SIGTERM)

  with pytest.raises(stop.StoppedError) as caught:
    fit(quick_config, splits, hook=terminate)
  assert f"SIGTERM. Step {step} is saved in {workdir}:" in str(caught.value)
  with checkpoint.open_manager(workdir) as manager:
    assert manager.latest_step() == step
  resumed, writer = fit(quick_config, splits)
  assert min(at for at, _ in writer.scalars) > step
  assert resumed == unbroken["result"]
  np.testing.assert_equal(saved_best(quick_config), unbroken["weights"])
