"""docs/results.md and the README's tables, and that both are up to date."""

import pathlib
import re
import shutil

import pytest
from etils import epath

from pattlite_jax.report import __main__ as report
from pattlite_jax.report import page

ROOT = pathlib.Path(__file__).parents[2]
README = (
  "a\n<!-- networks -->\nold\n<!-- end -->\nb\n<!-- protocol -->\n<!-- end -->"
)


def test_tables_replace_what_stood_between_their_marks():
  once = report.insert(README, "networks", ["| new |"])
  assert once.startswith("a\n<!-- networks -->\n| new |\n<!-- end -->\nb\n")
  assert report.insert(once, "networks", ["| new |"]) == once


def test_a_missing_mark_is_an_error():
  with pytest.raises(ValueError, match=r"0 places for the table 'networks'"):
    report.insert("nothing", "networks", [])


def test_a_study_without_results_is_left_out(tmp_path):
  shutil.copytree(ROOT / "results/leak", tmp_path / "leak")
  text = page.text(epath.Path(tmp_path))
  assert "launch/table.sh leak" in text
  assert text.count("\n## ") == 1
  assert page.text(epath.Path(tmp_path / "none")).count("\n## ") == 0


def test_the_page_is_that_of_the_results(tmp_path):
  """Run `python -m pattlite_jax.report` where this fails."""
  shutil.copytree(ROOT / "results", tmp_path / "results")
  docs = ("results", "many_hosts", "methods")
  pages = ("README.md", *(f"docs/{name}.md" for name in docs))
  (tmp_path / "docs").mkdir()
  for name in pages:
    shutil.copy(ROOT / name, tmp_path / name)
  (tmp_path / "docs" / "results.md").unlink()
  report.write_all(
    *(epath.Path(tmp_path / name) for name in ("results", *pages))
  )
  for name in pages:
    assert (tmp_path / name).read_text() == (ROOT / name).read_text(), name


def test_links_of_the_page_lead_somewhere():
  text = (ROOT / "docs/results.md").read_text()
  links = re.findall(r"\]\((?!https:)([^)]+)\)", text)
  assert len(links) > 5
  for link in links:
    assert (ROOT / "docs" / link).exists(), link
