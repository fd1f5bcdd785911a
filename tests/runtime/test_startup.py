"""Which log lines a command shows, and how."""

import logging
import os
import pathlib
import subprocess
import sys
import types

import pytest

from pattlite_jax.runtime import startup

PACKAGE = pathlib.Path(startup.__file__).parents[1]


def record(level, path):
  return logging.LogRecord("absl", level, str(path), 1, "Said.", None, None)


@pytest.mark.parametrize(
  ("level", "path", "is_shown"),
  [
    (logging.INFO, PACKAGE / "data/load.py", True),
    (logging.INFO, "/elsewhere/jax/xla_bridge.py", False),
    (logging.WARNING, "/elsewhere/jax/xla_bridge.py", True),
    (logging.ERROR, "/elsewhere/jax/xla_bridge.py", True),
    (logging.INFO, "/elsewhere/orbax/manager.py", False),
    (logging.WARNING, "/elsewhere/orbax/manager.py", True),
    (logging.ERROR, "/elsewhere/orbax/manager.py", False),
  ],
)
def test_ours_and_warnings_are_shown(level, path, is_shown):
  assert startup._is_for_the_reader(record(level, path)) == is_shown


@pytest.mark.parametrize(
  ("level", "text"),
  [
    (logging.INFO, "Said."),
    (logging.WARNING, "Warning: Said."),
    (logging.ERROR, "Error: Said."),
  ],
)
def test_lines_are_plain(level, text):
  assert startup._Words().format(record(level, "a.py")) == text


def test_chatter_of_c_code_is_dropped_and_all_else_is_shown(capfd):
  with pytest.raises(ImportError), startup.without_chatter():
    os.write(2, b"I0000 00:00:17956.7 2112 cudart_stub.cc:31] No GPU.\n")
    os.write(2, b"W0000 00:00:17956.8 2112 cudart.cc:9] Too old.\n")
    raise ImportError
  os.write(2, b"I0000 after\n")
  shown = capfd.readouterr().err
  assert "No GPU" not in shown
  assert "Too old." in shown and "I0000 after" in shown


def test_a_home_that_cannot_be_written_to_keeps_no_compilations(
  tmp_path, caplog, monkeypatch
):
  monkeypatch.setenv("MPLCONFIGDIR", "kept")
  (tmp_path / "home").write_text("A file.")
  assert startup._writable(str(tmp_path / "home/xla")) is None
  assert caplog.text.count("JAX_COMPILATION_CACHE_DIR=<folder>") == 1
  folder = str(tmp_path / "new/xla")
  assert startup._writable(folder) == folder
  assert os.listdir(folder) == []
  assert startup._writable("gs://b/xla") == "gs://b/xla"


_LOAD = """
import jax, numpy, pattlite_jax
network = pattlite_jax.load("fer2013")
network(numpy.zeros((48, 48), numpy.uint8))
print(jax.config.values["jax_compilation_cache_dir"])
"""


def _kept_by_a_first_prediction(home, **environment):
  """Returns the folder that JAX was told of, and the files of its home."""
  done = subprocess.run(
    [sys.executable, "-c", _LOAD],
    env={**os.environ, "HOME": str(home), **environment},
    capture_output=True,
    text=True,
    check=True,
  )
  return done.stdout.strip(), sorted(p for p in home.rglob("*") if p.is_file())


@pytest.mark.slow
def test_a_process_that_loads_keeps_what_it_compiles(tmp_path, monkeypatch):
  """Where no one says otherwise; and the next process writes nothing more."""
  monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
  usual = tmp_path / ".cache/pattlite_jax/xla"
  folder, first = _kept_by_a_first_prediction(tmp_path)
  assert folder == str(usual)
  executables = [p for p in first if p.name.endswith("-cache")]
  assert executables and all(p.parent == usual for p in executables)
  _, second = _kept_by_a_first_prediction(tmp_path)
  assert second == first


@pytest.mark.slow
def test_compilations_are_kept_elsewhere_or_not_at_all(tmp_path, monkeypatch):
  monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
  own = tmp_path / "own"
  told, _ = _kept_by_a_first_prediction(
    tmp_path, JAX_COMPILATION_CACHE_DIR=str(own)
  )
  assert told == str(own) and not (tmp_path / ".cache/pattlite_jax").exists()
  told, _ = _kept_by_a_first_prediction(
    tmp_path, JAX_ENABLE_COMPILATION_CACHE="false"
  )
  assert told == "None" and not (tmp_path / ".cache/pattlite_jax").exists()


@pytest.mark.parametrize(
  ("error", "is_shown"),
  [
    (RuntimeError("Event loop is closed"), False),
    (RuntimeError("Something else"), True),
  ],
)
def test_what_a_failed_save_echoes_is_dropped(monkeypatch, error, is_shown):
  shown = []
  monkeypatch.setattr(sys, "__unraisablehook__", shown.append)
  startup._without_echoes(
    types.SimpleNamespace(
      exc_type=type(error),
      exc_value=error,
      exc_traceback=None,
      err_msg=None,
      object=None,
    )
  )
  assert bool(shown) == is_shown


def test_what_orbax_misses_of_a_step_that_has_gone_is_not_shown():
  missed = logging.LogRecord(
    "absl",
    logging.WARNING,
    "/elsewhere/orbax/checkpoint.py",
    1,
    "Metadata file does not exist: %s",
    ("f",),
    None,
  )
  assert not startup._is_for_the_reader(missed)
