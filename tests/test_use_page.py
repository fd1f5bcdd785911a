"""docs/use.md: each line of Python is run, each flag and column is there."""

import doctest
import pathlib
import re

import PIL.Image
import skimage.data
from absl import flags

from pattlite_jax.predict import __main__ as command
from pattlite_jax.predict import rows

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "use.md"


def test_the_lines_of_python_give_what_the_page_shows(tmp_path, monkeypatch):
  monkeypatch.setenv("PYTHONPATH", str(PAGE.parents[1]))
  monkeypatch.chdir(tmp_path)
  PIL.Image.fromarray(skimage.data.astronaut()).save("photo.png")
  failed, tried = doctest.testfile(str(PAGE), module_relative=False)
  assert tried > 15 and not failed


def test_the_page_names_each_flag_and_column():
  text = PAGE.read_text()
  values = flags.FlagValues()
  command.define_flags(values)
  own = {name for name in values if not name.startswith("no")}
  table = text.partition("| flag |")[2].partition("\n\n")[0]
  assert set(re.findall(r"`--(\w+)", table)) == own
  table = text.partition("| column |")[2].partition("\n\n")[0]
  named = re.findall(r"`(\w+)`", "".join(table.split("|")[1::3]))
  assert set(rows.COLUMNS) <= set(named) | set(re.findall(r"`(\w+)`", table))
