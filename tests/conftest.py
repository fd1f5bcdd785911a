"""What several tests share: small examples, a small network, its config."""

import collections
import gc
import os
import pathlib
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

import imported_first  # noqa: F401
import jax
import numpy as np
import pytest
import small_run_config
import xla_flags

from pattlite_jax.data.examples import Examples

CLASS_NAMES = ("anger", "disgust", "happiness")
MAX_MAPPINGS = 20_000

xla_flags.compile_fast()
gc.disable()  # Until `pytest_collection_finish`.


def pytest_collection_modifyitems(items):
  """Puts the files with most slow tests first, so that all workers end late.

  With pytest-xdist's own order, by the number of tests, a file of few long
  tests would come last and leave the other workers idle.
  """
  slow = collections.Counter(
    item.path for item in items if item.get_closest_marker("slow")
  )
  items.sort(key=lambda item: -slow[item.path])


def pytest_collection_finish():
  """Garbage is looked for less often, and not in what was imported.

  Tracing makes many objects, which Python would search again and again.
  """
  gc.collect()
  gc.freeze()
  gc.set_threshold(100_000, 20, 100)
  gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
  """Lets go of compiled programs before they are too many for Linux.

  Each has six memory mappings or many more, and a process may have 65,530. XLA
  crashes where it gets no other, to compile a program or to read one. A whole
  run takes thousands, the other tests of a file hardly as many together.
  """
  ends_file = nextitem is None or nextitem.path != item.path
  if not ends_file and not item.get_closest_marker("slow"):
    return
  if _num_mappings() > MAX_MAPPINGS:
    jax.clear_caches()
    gc.collect()
    assert _num_mappings() < MAX_MAPPINGS


def _num_mappings():
  """Returns 0 where the system does not tell, as macOS."""
  maps = pathlib.Path("/proc/self/maps")
  return maps.read_bytes().count(b"\n") if maps.exists() else 0


@pytest.fixture(scope="session")
def make_examples():
  """Returns a maker of faceless examples whose brightness tells the class."""

  def make(num_examples, seed=0, size=16):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, num_examples).astype(np.int32)
    noise = rng.integers(0, 60, (num_examples, size, size, 1))
    images = noise + 90 * labels[:, None, None, None]
    ids = np.array([f"{seed}-{i}" for i in range(num_examples)])
    return Examples(images.astype(np.uint8), labels, ids, CLASS_NAMES)

  return make


@pytest.fixture
def small_config(tmp_path):
  """A run that compiles in seconds; its folder is the test's own."""
  return small_run_config.make(tmp_path / "run")


@pytest.fixture
def splits(make_splits):
  """What `small_config` trains on: an epoch has 5 steps."""
  return make_splits()


@pytest.fixture(scope="session")
def make_splits(make_examples):
  """Returns a maker of splits for what a whole file shares."""
  return lambda: {
    "train": make_examples(18, seed=0),
    "validation": make_examples(9, seed=1),
    "test": make_examples(10, seed=2),
  }


@pytest.fixture(scope="session", autouse=True)
def compiled(tmp_path_factory):
  """Lets all tests share their compilations, with workers and subprocesses.

  JAX_COMPILATION_CACHE_DIR keeps them for the next run, too. Compiling takes
  most of the time of most tests, and half as long without most optimizations.
  """
  folder = tmp_path_factory.getbasetemp()
  if "PYTEST_XDIST_WORKER" in os.environ:
    folder = folder.parent
  kept = os.environ.get("JAX_COMPILATION_CACHE_DIR")
  settings = {
    "jax_compilation_cache_dir": kept or str(folder / "compiled"),
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_disable_most_optimizations": True,
  }
  for name, value in settings.items():
    jax.config.update(name, value)
    os.environ[name.upper()] = str(value)


@pytest.fixture(scope="module")
def optimized():
  """Programs are those of users, as far as the file compiles them itself."""
  _optimize(True)
  yield
  _optimize(False)


def _optimize(fully):
  jax.clear_caches()
  jax.config.update("jax_disable_most_optimizations", not fully)


@pytest.fixture(scope="module")
def hang_ups():
  """SIGHUP is as in a terminal; nohup, which ignores it, would hand that on."""
  before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
  yield
  signal.signal(signal.SIGHUP, before)


@pytest.fixture
def quick_config(small_config):
  """`small_config` for tests of the loop alone: one stage."""
  small_config.stage2.epochs = 0
  return small_config
