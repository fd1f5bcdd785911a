"""Every command ends without a word when nobody reads what it writes."""

import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.usefixtures("hang_ups")

COMMANDS = (
  ("config",),
  ("main", "--help"),
  ("evaluate", "--help"),
  ("audit", "--help"),
  ("release", "--help"),
  ("report", "--help"),
  ("report.run", "--table=best", "--dry_run"),
  ("benchmark", "--help"),
  ("pack", "--help"),
  ("weights.keras_port", "--help"),
  ("inspect", "--help"),
  ("export", "--help"),
  ("page", "--help"),
  ("predict", "--help"),
  ("compile", "--help"),
)


def start(command, **options):
  """Starts a command whose standard output has no reader."""
  reader, writer = os.pipe()
  os.close(reader)
  process = subprocess.Popen(
    [sys.executable, "-m", f"pattlite_jax.{command[0]}", *command[1:]],
    stdout=writer,
    stderr=subprocess.PIPE,
    text=True,
    **options,
  )
  os.close(writer)
  return process


@pytest.fixture(scope="module")
def ended():
  """{command: (exit status, standard error)}; they run beside each other."""
  started = {command[0]: start(command) for command in COMMANDS}
  return {
    name: (process.wait(300), process.stderr.read())
    for name, process in started.items()
  }


@pytest.mark.parametrize("name", [command[0] for command in COMMANDS])
def test_a_command_without_a_reader_ends_as_others_do(ended, name):
  assert ended[name] == (-signal.SIGPIPE, "")


@pytest.mark.skipif(
  not os.path.exists("/dev/full"), reason="the system has no full disk to try"
)
def test_a_full_disk_is_said_in_one_line():
  with open("/dev/full", "w") as full:
    done = subprocess.run(
      [sys.executable, "-m", "pattlite_jax.config"],
      stdout=full,
      stderr=subprocess.PIPE,
      text=True,
      timeout=300,
    )
  assert done.stderr == "Error: standard output: No space left on device.\n"
  assert done.returncode == 1


def ignore_hangups():
  signal.signal(signal.SIGHUP, signal.SIG_IGN)  # As nohup does.


def test_under_nohup_it_comes_to_its_end():
  process = start(("config",), preexec_fn=ignore_hangups)
  assert (process.wait(300), process.stderr.read()) == (0, "")
