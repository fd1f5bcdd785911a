"""What was measured once: the page in a browser, and own folders of faces."""

from collections.abc import Callable
from typing import Any

from etils import epath

from pattlite_jax.runtime import json_file
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring.text import markdown_table, percent


def browser(results: epath.Path) -> list[str]:
  """Returns what the page takes in a browser, if it was measured.

  Raises:
    UserError: if the file is of something else.
  """
  return _table(results / "page.json", "page.measure", _of_browser)


def own_data(results: epath.Path) -> list[str]:
  """Returns how own folders were learned, if that was tried.

  Raises:
    UserError: if the file is of something else.
  """
  return _table(results / "own_data.json", "launch/own_data.py", _of_own_data)


def _table(
  file: epath.Path, command: str, of: Callable[[dict[str, Any]], list[str]]
) -> list[str]:
  if not file.exists():
    return []
  found = json_file.read(file)
  try:
    return of(found)
  except (AttributeError, LookupError, TypeError, ValueError) as error:
    raise UserError(f"{file} is no result of {command}: {error!r}") from error


def _of_browser(found: dict[str, Any]) -> list[str]:
  row = (
    found["chromium"],
    "x".join(map(str, found["picture"])),
    f"{found['detection_ms']:.0f}",
    f"{found['face_ms']:.1f}",
    f"{found['compressed_bytes'] / 1e6:.1f} ({found['bytes'] / 1e6:.1f})",
  )
  return markdown_table(
    ("Chromium", "picture", "detection, ms", "a face, ms", "MB (unpacked)"),
    [row],
  )


def _of_own_data(found: dict[str, Any]) -> list[str]:
  validation, test = found["validation"], found["test"]
  rows = (
    ("classes", ", ".join(found["classes"])),
    (
      "pictures",
      f"{found['train']:,} train, {validation['num_examples']:,} validation, "
      f"{test['num_examples']:,} test",
    ),
    (
      "minutes",
      f"{found['seconds'] / 60:.1f}, of a processor "
      f"{found['cpu_seconds'] / 60:.1f}, preparing included",
    ),
    ("accuracy, test", percent(test["accuracy"])),
    ("accuracy, validation", percent(validation["accuracy"])),
    (
      "test by `ferplus` as it comes, among its 8 classes",
      percent(found["test_before"]["accuracy"]),
    ),
  )
  return markdown_table(("", ""), rows)
