"""A result from its file: what it says is possible, or it is refused.

`scoring.protocols` describes the form.
"""

import math
import reprlib
from typing import Any

from etils import epath

from pattlite_jax.runtime import json_file
from pattlite_jax.runtime.errors import UserError

_SPLITS = ("train", "validation", "test", "all")
_SHARES = ("accuracy", "macro_f1", "mean_class_accuracy", "ece")
_WORDS = ("dataset", "rule", "method", "attention")


def read(path: epath.Path) -> dict[str, Any]:
  """Returns the result in a file.

  Raises:
    UserError: for what is none, and for figures that cannot be.
  """
  result = json_file.read(path)
  try:
    check(result)
  except UserError as error:
    raise UserError(f"{path} is no result that can be shown: {error}") from (
      error
    )
  return result


def read_audit(path: epath.Path) -> dict[str, Any]:
  """Returns what `audit --json` wrote.

  Raises:
    UserError: if it does not say whether the network passed.
  """
  audit = json_file.read(path)
  found = audit.get("batch_dependence")
  if not isinstance(found, dict) or type(found.get("passed")) is not bool:
    raise UserError(
      f"{path} is no audit that can be shown: batch_dependence is "
      f"{reprlib.repr(found)}, but must say whether the network passed."
    )
  return audit


def check(result: dict[str, Any]) -> None:
  """Raises UserError for a result with figures that cannot be."""
  for name in _WORDS:
    value = result.get(name)
    may_lack = name in ("rule", "attention")
    if not (value is None and may_lack) and not _is_word(value):
      raise _wrong(name, value, "a word or two")
  hours = result.get("hours")
  if hours is not None and not _is_number(hours, 0):
    raise _wrong("hours", hours, "a number from 0 on")
  epochs = result.get("epochs", {})
  if not isinstance(epochs, dict) or not all(
    type(count) is int and count >= 0 for count in epochs.values()
  ):
    raise _wrong("epochs", epochs, "a whole number for each stage")
  splits = result.get("splits")
  if not isinstance(splits, dict) or not splits:
    raise _wrong("splits", splits, "the figures of each split")
  for split, scores in splits.items():
    if split not in _SPLITS:
      raise _wrong("splits", split, f"of {', '.join(_SPLITS)}")
    _check_split(split, scores)


def _check_split(where: str, scores: Any) -> None:
  if not isinstance(scores, dict) or "per_sample" not in scores:
    raise _wrong(where, scores, "the figures of each image alone, per_sample")
  for protocol in ("per_sample", "across_batch", "flip_views"):
    if protocol in scores:
      _check_figures(f"{where}/{protocol}", scores[protocol])
  subsets = scores.get("challenges", {})
  if not isinstance(subsets, dict):
    raise _wrong(f"{where}/challenges", subsets, "a list of each subset")
  for name, subset in subsets.items():
    place = f"{where}/challenges/{name}"
    if not isinstance(subset, dict) or "list_labels" not in subset:
      raise _wrong(place, subset, "the figures by list_labels")
    _check_split(f"{place}/list_labels", subset["list_labels"])


def _check_figures(where: str, figures: Any) -> None:
  """Raises UserError for figures that cannot be, or not beside each other."""
  if not isinstance(figures, dict) or not {"accuracy", "macro_f1"} <= set(
    figures
  ):
    raise _wrong(where, figures, "an accuracy and a macro_f1")
  for name in _SHARES:
    value = figures.get(name)
    may_lack = name == "mean_class_accuracy" or name not in figures
    if not (value is None and may_lack) and not _is_number(value, 0, 1):
      raise _wrong(f"{where}/{name}", value, "a share from 0 to 1")
  if "loss" in figures and not _is_number(figures["loss"], 0):
    raise _wrong(f"{where}/loss", figures["loss"], "a number from 0 on")
  if "confusion_matrix" in figures:
    _check_confusion(where, figures)


def _check_confusion(where: str, figures: dict[str, Any]) -> None:
  """Raises UserError unless the matrix has the images and the accuracy."""
  matrix, count = figures["confusion_matrix"], figures.get("num_examples")
  is_square = isinstance(matrix, list) and all(
    isinstance(row, list)
    and len(row) == len(matrix)
    and all(type(cell) is int and cell >= 0 for cell in row)
    for row in matrix
  )
  if not is_square:
    raise _wrong(f"{where}/confusion_matrix", matrix, "counts, K for K classes")
  total = sum(map(sum, matrix))
  if type(count) is not int or count != total or not total:
    raise _wrong(
      f"{where}/num_examples", count, f"{total}, as in its confusion matrix"
    )
  right = sum(row[index] for index, row in enumerate(matrix))
  if not math.isclose(figures["accuracy"], right / total, abs_tol=1e-6):
    raise _wrong(
      f"{where}/accuracy",
      figures["accuracy"],
      f"{right / total:.6g}, as in its confusion matrix",
    )


def _is_word(value: Any) -> bool:
  is_text = isinstance(value, str) and value.isprintable() and len(value) < 100
  return is_text and not set(value) & set("|<>[]`\n")  # They go into Markdown.


def _is_number(value: Any, low: int, high: int | float = math.inf) -> bool:
  # Not True, nor what JSON writes as NaN and Infinity.
  is_number = type(value) in (int, float)
  # A larger whole number is none that can be written as a decimal.
  return is_number and low <= value <= high and value < 1e300


def _wrong(name: str, value: Any, wanted: str) -> UserError:
  return UserError(f"{name} is {reprlib.repr(value)}, but must be {wanted}.")
