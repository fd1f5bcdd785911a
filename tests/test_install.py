"""The built wheel, where only the base dependencies are installed.

Nothing is downloaded: links to packages of this environment stand in for what
pip would install.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement

from pattlite_jax.runtime.errors import TRAINING_MODULES

ROOT = pathlib.Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# A user's script, beside modules that have the name of our recipes' folder.
CLASSIFY = """
import numpy as np
import pattlite_jax
import {module}

classify = pattlite_jax.load({network!r})
probabilities = classify(np.full((60, 50), 128, np.uint8))
assert probabilities.shape == (len(classify.class_names),)
np.testing.assert_allclose(probabilities.sum(), 1, rtol=1e-5)
assert {module}.OWN
print(pattlite_jax.__file__)
"""


def run(*command, **options):
  return subprocess.run(
    [str(part) for part in command],
    capture_output=True,
    text=True,
    check=False,
    **options,
  )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
  """A wheel of this tree, without what earlier builds left in build/."""
  folder = tmp_path_factory.mktemp("wheel")
  for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
    shutil.copy(ROOT / name, folder)
  for name in ("pattlite_jax", "configs", "tests"):
    shutil.copytree(ROOT / name, folder / name, symlinks=True)
  # It takes setuptools from this environment: the extra "test" has it.
  done = run(
    *(sys.executable, "-m", "pip", "wheel", "--quiet"),
    *("--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder),
  )
  assert done.returncode == 0, done.stdout + done.stderr
  (path,) = folder.glob("*.whl")
  return path


@pytest.fixture(scope="module")
def base_install(wheel, tmp_path_factory):
  """A folder with what `pip install` of the wheel alone would bring."""
  folder = tmp_path_factory.mktemp("site")
  done = run(
    *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
    *("--no-index", "--target", folder, wheel),
  )
  assert done.returncode == 0, done.stdout + done.stderr
  (own,) = metadata.distributions(path=[str(folder)])
  for distribution in _needed_by(own):
    for top in {file.parts[0] for file in distribution.files or ()}:
      if top not in ("..", "__pycache__") and not (folder / top).exists():
        (folder / top).symlink_to(str(distribution.locate_file(top)))
  return folder


def _needed_by(distribution, extras=frozenset()):
  """Yields the distributions that one needs, all the way down."""
  todo, seen = [(distribution, extras)], set()
  while todo:
    distribution, extras = todo.pop()
    for requirement in map(Requirement, distribution.requires or ()):
      marker, name = requirement.marker, requirement.name
      wanted = marker is None or any(
        marker.evaluate({"extra": extra}) for extra in (*extras, "")
      )
      key = (name, frozenset(requirement.extras))
      if wanted and key not in seen:
        seen.add(key)
        yield metadata.distribution(name)
        todo.append((metadata.distribution(name), requirement.extras))


@pytest.fixture
def run_installed(base_install, tmp_path):
  """Runs Python in a folder of its own with the base install alone."""

  def call(*arguments):
    # -S hides this environment's packages.
    return run(
      *(sys.executable, "-S", *arguments),
      cwd=tmp_path,
      env={
        "HOME": str(tmp_path),
        "JAX_PLATFORMS": "cpu",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(base_install),
      },
    )

  return call


@pytest.mark.slow
def test_the_wheel_installs_the_package_alone_with_its_networks(base_install):
  own = [path for path in base_install.iterdir() if not path.is_symlink()]
  names = {path.name.partition("-")[0] for path in own} - {"bin"}
  assert names == {"pattlite_jax"}
  package = base_install / "pattlite_jax"
  for name in ("ferplus", "fer2013"):
    for file in (
      *("weights.safetensors", "network.onnx", "config.json", "README.md"),
    ):
      assert (package / "released" / name / file).is_file()
  assert (package / "weights/mobilenet_v1_imagenet_trunk.safetensors").is_file()
  assert (package / "predict/detection/blazeface_full_range.onnx").is_file()
  for name in ("LICENSE", "NOTICE"):
    (licence,) = base_install.glob(f"pattlite_jax-*/licenses/{name}")
    assert licence.read_text() == (ROOT / name).read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
  "file, module, network",
  [
    ("configs.py", "configs", "ferplus"),
    ("configs/default.py", "configs.default", "fer2013"),
  ],
)
def test_faces_are_classified_beside_configs_of_the_user(
  run_installed, base_install, tmp_path, file, module, network
):
  (tmp_path / file).parent.mkdir(exist_ok=True)
  (tmp_path / file).write_text("OWN = True\n")
  script = tmp_path / "classify.py"
  script.write_text(CLASSIFY.format(module=module, network=network))
  done = run_installed(script)
  assert done.returncode == 0, done.stderr
  assert done.stdout == f"{base_install}/pattlite_jax/__init__.py\n"


@pytest.mark.slow
@pytest.mark.parametrize(
  "command, arguments, status",
  [
    ("main", ["--config=synthetic"], 1),
    ("evaluate", ["--checkpoint=ferplus", "--dataset=synthetic_faces"], 1),
    ("audit", ["--dataset=synthetic_faces"], 2),
    ("pack", ["--dataset=synthetic_faces", "--out=faces.npz"], 1),
    ("release", ["--checkpoint=ferplus", "--out=out"], 1),
    ("report", [f"--results={ROOT}/results"], 1),
    ("benchmark", ["--what=startup"], 1),
    ("weights.keras_port", [f"--weights={__file__}", "--out=out"], 1),
  ],
)
def test_a_command_without_its_packages_says_how_to_install_them(
  run_installed, command, arguments, status
):
  done = run_installed("-P", "-m", f"pattlite_jax.{command}", *arguments)
  assert done.returncode == status, done.stderr
  assert "Traceback" not in done.stderr
  message = re.fullmatch(
    r"Error: This command needs (\w+)\. "
    r'Install it with: pip install "pattlite-jax\[train\]"',
    done.stderr.splitlines()[-1],
  )
  assert message and message[1] in TRAINING_MODULES


def test_loading_a_network_imports_nothing_of_training():
  code = (
    "import pattlite_jax, sys\n"
    "pattlite_jax.load('ferplus')\n"
    "print(*sys.modules)"
  )
  done = run(sys.executable, "-c", code, cwd=ROOT)
  assert done.returncode == 0, done.stderr
  imported = set(done.stdout.split())
  assert "flax" in imported
  unused = {"optax.losses", "orbax.checkpoint", "scipy"}
  assert not imported & {*TRAINING_MODULES, *unused}


def test_the_extra_train_holds_the_modules_that_errors_name():
  extras = PROJECT["optional-dependencies"]
  names = {Requirement(line).name for line in extras["train"]}
  # Flax brings Rich in any case.
  modules = {name.replace("-", "_") for name in names - {"rich"}}
  assert modules == set(TRAINING_MODULES) - {"keras"}
  base = {Requirement(line).name for line in PROJECT["dependencies"]}
  assert not names & base
  for extra in ("bench", "test"):
    assert "pattlite-jax[train]" in extras[extra]


def test_the_workflow_runs_the_checks_on_each_python_that_trains():
  text = (ROOT / ".github/workflows/ci.yml").read_text()
  (job,) = yaml.safe_load(text)["jobs"].values()
  versions = job["strategy"]["matrix"]["python"]
  assert versions == ["3.11", "3.12", "3.13"]
  uses = {step.get("uses", "").partition("@")[0]: step for step in job["steps"]}
  python = uses["actions/setup-python"]["with"]["python-version"]
  assert python == "${{ matrix.python }}"
  assert job["steps"][-1] == {"run": ".ci/run"}
  assert os.access(ROOT / ".ci/run", os.X_OK)
