"""What a terminal is told while many images are gone through."""

import io

import pytest

from pattlite_jax.data import progress


@pytest.fixture
def screen(monkeypatch):
  class Terminal(io.StringIO):
    def isatty(self):
      return True

  terminal = Terminal()
  monkeypatch.setattr("sys.stderr", terminal)
  monkeypatch.setattr(progress, "_SECONDS", 0.0)
  return terminal


def test_a_terminal_sees_how_many_there_were(screen):
  assert list(progress.shown("abc", "opened", 3)) == list("abc")
  lines = screen.getvalue().split("\r\033[K")
  assert lines[1:] == [
    "1 of 3 images (33 %) opened",
    "2 of 3 images (66 %) opened",
    "3 of 3 images (100 %) opened",
    "",
  ]


def test_blocks_count_as_images_and_the_last_may_be_smaller(screen):
  list(progress.shown(range(3), "read", 2500, each=1000))
  assert "2,500 of 2,500 images (100 %) read" in screen.getvalue()


def test_the_total_may_be_unknown(screen):
  list(progress.shown("ab", "prepared"))
  assert "\r\033[K2 images prepared" in screen.getvalue()


def test_a_file_sees_nothing(monkeypatch):
  file = io.StringIO()
  monkeypatch.setattr("sys.stderr", file)
  monkeypatch.setattr(progress, "_SECONDS", 0.0)
  assert list(progress.shown("ab", "read", 2)) == ["a", "b"]
  assert not file.getvalue()
