import io

from pattlite_jax.predict.progress import Progress


class Terminal(io.StringIO):
  def isatty(self):
    return True


def test_a_terminal_shows_how_far_it_is():
  screen = Terminal()
  bar = Progress(4, screen)
  bar.skip()
  bar.add(3)
  line = screen.getvalue().rpartition("\r")[2]
  assert "2/4 files, 3 faces" in line and line.endswith("0:00 left")
  assert line.count("━") == line.count("─") == 10
  bar.clear()
  assert screen.getvalue().endswith("\r\x1b[K")


def test_frames_are_parts_of_a_file():
  bar = Progress(2, Terminal())
  bar.add(1, 0.5)
  bar.add(1, 0.999)
  assert (bar.done, bar.faces) == (0, 2)
  bar.add(0)
  assert (bar.done, bar.faces) == (1, 2)


def test_without_a_terminal_nothing_is_written():
  screen = io.StringIO()
  bar = Progress(None, screen)
  bar.add(1)
  bar.clear()
  assert screen.getvalue() == ""
