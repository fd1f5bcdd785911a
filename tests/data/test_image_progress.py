"""What a terminal is told while many images are gone through."""

import io
import sys

import pytest

from pattlite_jax.data import image_progress


class Terminal(io.StringIO):
  def isatty(self):
    return True


@pytest.fixture
def go_over(monkeypatch):
  """Returns a function of `shown`'s arguments: what is written meanwhile."""
  monkeypatch.setattr(image_progress, "_SECONDS", 0.0)

  def run(items, *arguments, screen=Terminal):
    with monkeypatch.context() as patch:  # Pytest has one of its own, too.
      patch.setattr("sys.stderr", screen())
      assert list(image_progress.shown(items, *arguments)) == list(items)
      return sys.stderr.getvalue()

  return run


def test_a_terminal_sees_how_many_there_were(go_over):
  assert go_over("abc", "opened", 3).split("\r\033[K")[1:] == [
    "1 of 3 images (33 %) opened",
    "2 of 3 images (66 %) opened",
    "3 of 3 images (100 %) opened",
    "",
  ]


def test_blocks_count_as_images_and_the_last_may_be_smaller(go_over):
  text = go_over(range(3), "read", 2500, 1000)
  assert "2,500 of 2,500 images (100 %) read" in text


def test_the_total_may_be_unknown(go_over):
  assert "\r\033[K2 images prepared" in go_over("ab", "prepared")


def test_a_file_sees_nothing(go_over):
  assert not go_over("ab", "read", 2, screen=io.StringIO)
