"""The command as a user types it, in a process of its own."""

import json
import os
import pathlib
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
  assert "train/conv" in done.stderr or "params/" in done.stderr  # Overview.
  assert list(workdir.glob("events.out.tfevents.*"))


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
