"""Figures of several networks that were scored as one."""

import pathlib
from typing import Any

from etils import epath

from pattlite_jax.runtime import json_file
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring.text import markdown_table, percent

_COLUMNS = ("networks", "split", "accuracy", "macro F1", "calibration error")


def text(results: epath.Path) -> list[str]:
  """Returns a row of each ensemble in a folder of results.

  Raises:
    UserError: if a file is of something else.
  """
  rows = []
  for file in sorted(results.glob("*_mean*.json")):
    found = json_file.read(file)
    try:
      rows.append(_row(found))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
      raise UserError(f"{file} is no result of evaluate: {error!r}") from error
  return markdown_table(_COLUMNS, rows) if rows else []


def _row(found: dict[str, Any]) -> list[str]:
  names = [pathlib.PurePath(n).name for n in found["checkpoint"].split(",")]
  ((split, scores),) = found["splits"].items()
  figures = [scores["per_sample"][k] for k in ("accuracy", "macro_f1", "ece")]
  return [" + ".join(names), split, *map(percent, figures)]
