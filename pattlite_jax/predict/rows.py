"""Results as they come: a CSV row a face, a JSON line a picture.

Each picture's are written at once, so that a killed run loses none.
"""

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from typing import Any

from pattlite_jax.predict.photo import Face

COLUMNS = (
  *("file", "frame", "time_s", "face"),
  *("left", "top", "right", "bottom", "detection"),
  *("expression", "probability"),
)
NO_FACE, UNREADABLE = "no face", "unreadable"
# What spreadsheets take for the beginning of a formula, and the mark that
# keeps them from it, so that each text comes from one text alone.
_WIDE = ("\uff1d", "\uff0b", "\uff0d", "\uff20")  # East Asian = + - @
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *_WIDE, "'")
# A cell with one of these is quoted: readers take them for the end of a line,
# or spreadsheets for the end of a cell.
_QUOTED = ";\t\r\n"


@dataclasses.dataclass(frozen=True)
class Result:
  """What was found in a picture, or in a frame of a video."""

  file: str
  faces: Sequence[Face] = ()
  frame: int | None = None
  time_s: float | None = None
  error: str = ""


def cell(text: str) -> str:
  """Returns a text that a spreadsheet does not run as a formula."""
  return f"'{text}" if text.startswith(_FORMULA) else text


def text_of(cell: str) -> str:
  """Returns the text that `cell` was made of."""
  return cell.removeprefix("'")


def file_of(row: Sequence[str]) -> tuple[str, bool]:
  """Returns a row's file, and whether it could not be read."""
  reason = row[COLUMNS.index("expression")]
  is_none = row[COLUMNS.index("face")] == "0"
  return text_of(row[0]), is_none and reason.startswith(UNREADABLE)


def csv_header(class_names: Sequence[str]) -> str:
  """Returns the first line of the CSV."""
  return _csv([[*COLUMNS, *map(cell, class_names)]])


def csv_rows(result: Result, class_names: Sequence[str]) -> str:
  """Returns a line a face; one line, of face 0, that says there is none."""
  frame = "" if result.frame is None else result.frame
  time_s = "" if result.time_s is None else f"{result.time_s:.3f}"
  start = [cell(result.file), frame, time_s]
  if result.error or not result.faces:
    reason = f"{UNREADABLE}: {result.error}" if result.error else NO_FACE
    empty = [""] * 5
    return _csv([[*start, 0, *empty, reason, "", *[""] * len(class_names)]])
  return _csv(
    [
      [
        *(*start, number),
        *(f"{place:.1f}" for place in face.box),
        "" if face.detection is None else f"{face.detection:.4f}",
        *(cell(face.expression), f"{face.probability:.6f}"),
        *(f"{p:.6f}" for p in face.probabilities),
      ]
      for number, face in enumerate(result.faces, 1)
    ]
  )


def _csv(rows: list[list[Any]]) -> str:
  lines = []
  for row in rows:
    text = io.StringIO()
    # The writer quotes what its own line end is made of.
    csv.writer(text, lineterminator=_QUOTED).writerow(row)
    lines.append(text.getvalue().removesuffix(_QUOTED) + "\n")
  return "".join(lines)


def json_line(result: Result, about: dict[str, Any]) -> str:
  """Returns a line of JSON; `about` names the network and the detector."""
  faces = [
    {
      "box": [round(place, 2) for place in face.box],
      "cut": list(face.cut),
      "detection": face.detection,
      "expression": face.expression,
      "probabilities": dict(
        zip(face.class_names, face.probabilities.tolist(), strict=True)
      ),
    }
    for face in result.faces
  ]
  line = {
    "file": result.file,
    "frame": result.frame,
    "time_s": result.time_s,
    "faces": faces,
    "error": result.error or None,
    **about,
  }
  return json.dumps(line) + "\n"
