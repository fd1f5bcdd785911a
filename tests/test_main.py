"""The command as a user types it, in a process of its own."""

import contextlib
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parent.parent


def run(*args, cwd=ROOT, timeout=300, **environment):
  return subprocess.run(
    [sys.executable, "-m", "pattlite_jax.main", *args],
    cwd=cwd,
    env=os.environ
    | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    | environment,
    capture_output=True,
    text=True,
    timeout=timeout,
  )


@pytest.fixture
def fer2013_dir(tmp_path):
  """A file of the contest's layout, with twelve faces of noise."""
  rng = np.random.default_rng(0)
  lines = ["emotion,pixels,Usage"]
  for i in range(12):
    usage = ("Training", "Training", "PublicTest")[i % 3]
    pixels = " ".join(map(str, rng.integers(0, 256, 48 * 48)))
    lines.append(f"{i % 7},{pixels},{usage}")
  (tmp_path / "fer2013.csv").write_text("\n".join(lines))
  return tmp_path


@pytest.mark.slow
def test_a_run_prints_figures_with_protocol_and_where_things_are(fer2013_dir):
  workdir = fer2013_dir / "run"
  done = run(
    "--config=configs/fer2013.py",
    "--config.data.dir=~",
    "--config.data.prepared_dir=~/prepared",
    "--config.workdir=~/run",
    "--config.model.image_size=24",
    "--config.model.cut=conv_pw_1_relu",
    "--config.model.attention=batch",
    "--config.stage1.epochs=1",
    "--config.stage2.epochs=0",
    HOME=str(fer2013_dir),
  )
  assert done.returncode == 0, done.stderr
  assert "accuracy one image at a time" in done.stdout
  assert "mixed with other test images (class_sorted" in done.stdout
  assert "~/run/checkpoints" in done.stdout
  result = json.loads((workdir / "result.json").read_text())
  assert result["dataset"] == "fer2013"
  assert result["command"].startswith("python -m pattlite_jax.main --config")
  assert result["splits"].keys() == {"train", "validation"}
  assert "The test split is empty and is not scored" in done.stderr
  assert list(workdir.glob("events.out.tfevents.*"))
  assert done.stdout.startswith("recipe      configs/fer2013.py\nwith        ")
  assert "            model.attention=batch\n" in done.stdout
  assert "which sees the images of a batch together\n" in done.stdout
  assert "epoch 1 of 1: training loss " in done.stdout
  # Nothing of the libraries, and neither the whole config nor any scalar.
  for line in done.stderr.splitlines():
    assert line.startswith(("Data set fer2013 of ", "Warning: ", "  ")), line
  assert not re.search(r"stage1\.patience|train/|\w: \d", done.stdout)


def test_a_misspelt_flag_suggests_the_right_one():
  done = run("--config=configs/synthetic.py", "--config.stage1.epoch=3")
  assert done.returncode != 0
  assert done.stderr.startswith("Error: There is no config.stage1.epoch.")
  assert "Did you mean config.stage1.epochs?" in done.stderr


def test_missing_data_says_what_to_do(tmp_path):
  done = run(
    "--config=fer2013",  # A recipe is found from any folder.
    f"--config.data.dir={tmp_path}",
    "--config.workdir=run",
    cwd=tmp_path,
  )
  assert done.returncode == 1
  assert "Traceback" not in done.stderr
  message = done.stderr.splitlines()[-1]
  assert message.startswith("Error: No FER2013")
  for part in (
    str(tmp_path),
    "Kaggle",
    "--config.data.dir",
    "--config=synthetic",
  ):
    assert part in message


def test_a_value_is_refused_before_data_are_read(tmp_path):
  done = run(
    "--config=fer2013",
    f"--config.data.dir={tmp_path / 'missing'}",
    "--config.batch_size=0",
    cwd=tmp_path,
  )
  assert done.returncode == 1
  assert done.stderr.splitlines()[-1] == (
    "Error: config.batch_size is 0, but must be a whole number of at least 1."
  )
  assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_on_a_terminal_ends_the_bar_and_says_what_is_saved(fer2013_dir):
  screen, terminal = pty.openpty()
  process = subprocess.Popen(
    [
      *(sys.executable, "-m", "pattlite_jax.main"),
      "--config=configs/fer2013.py",
      f"--config.data.dir={fer2013_dir}",
      f"--config.data.prepared_dir={fer2013_dir / 'prepared'}",
      f"--config.workdir={fer2013_dir / 'run'}",
      "--config.batch_size=1",
      "--config.model.image_size=24",
      "--config.model.cut=conv_pw_1_relu",
      "--config.stage1.epochs=1000",
      "--config.stage1.patience=0",
    ],
    cwd=ROOT,
    env=os.environ | {"JAX_PLATFORMS": "cpu", "TERM": "xterm"},
    stdin=terminal,
    stdout=terminal,
    stderr=terminal,
    start_new_session=True,
  )
  os.close(terminal)
  shown = b""
  with contextlib.suppress(OSError):  # Its end.
    while part := os.read(screen, 65536):
      shown += part
      if b"images/s, " in shown and process.poll() is None:
        process.send_signal(signal.SIGINT)
        break
    while part := os.read(screen, 65536):
      shown += part
  assert process.wait(60) == 75
  text = shown.decode()
  assert "\r\x1b[KSIGINT: saving after this step, then stopping.\r\n" in text
  last = text.rstrip().splitlines()[-1]
  assert re.search(r"Stopped by SIGINT\. Step \d+ is saved in ", last)
  end = text[text.rindex("SIGINT: saving") :]
  assert "\x1b[2K" in end[: end.index("Stopped by")]  # The bar is gone.
  assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # The cursor.


def test_help_needs_no_library():
  code = (
    "import sys, runpy; sys.argv = ['main', '--help']\n"
    "try: runpy.run_module('pattlite_jax.main', run_name='__main__')\n"
    "except SystemExit: pass\n"
    "assert not {'jax', 'tensorflow', 'flax'} & sys.modules.keys()"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  assert "--config" in done.stdout


def test_help_names_the_flags_used_most():
  done = run("--help")
  for words in ("--config.workdir=DIR", "--config.data.dir=DIR", "Exit status"):
    assert words in done.stdout
