"""Which log lines a command shows, and how."""

import logging
import os
import pathlib

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
