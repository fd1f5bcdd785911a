"""Tables of what it costs to find a face, and of crops that are not square."""

from collections.abc import Iterator
from typing import Any

from etils import epath

from pattlite_jax.runtime import json_file
from pattlite_jax.runtime.errors import UserError

FOLDER = "cut"  # Of results/.
_NETWORKS = ("ferplus", "fer2013")


def sides(results: epath.Path) -> list[str]:
  """Returns the accuracy by the side of the square around a found face."""
  lines: list[str] = []
  for network, result in _results(results, "", "accuracy_by_side"):
    lines += [
      f"`{network}`: {result['found']:,} of {result['faces']:,} validation "
      f"faces were found again by {result['detector']}.",
      "",
      "| cut | accuracy |",
      "| --- | --- |",
      f"| the data set's own | {_percent(result['accuracy_uncut'])} |",
      *(
        f"| {side} x the box's mean side | {_percent(accuracy)} |"
        for side, accuracy in result["accuracy_by_side"].items()
      ),
      "",
    ]
  return lines


def shapes(results: epath.Path) -> list[str]:
  """Returns the accuracy of crops of each shape by what was made of them."""
  lines: list[str] = []
  for network, result in _results(results, "_shape", "accuracy_by_shape"):
    by_shape = result["accuracy_by_shape"]
    ways = list(next(iter(by_shape.values())))
    if not lines:
      lines = [
        f"| network | what is left of the face | {' | '.join(ways)} |",
        "| --- | --- |" + " --- |" * len(ways),
      ]
    lines += [
      f"| `{network}` | {shape} | "
      + " | ".join(_percent(by_way[way]) for way in ways)
      + " |"
      for shape, by_way in by_shape.items()
    ]
  return lines


def _results(
  results: epath.Path, end: str, field: str
) -> Iterator[tuple[str, dict[str, Any]]]:
  """Yields the results that are there, each with its network's name."""
  for network in _NETWORKS:
    path = results / f"{network}{end}.json"
    if not path.exists():
      continue
    result = json_file.read(path)
    if not isinstance(result.get(field), dict) or not result[field]:
      raise UserError(
        f"{path} lacks {field}: run `python -m "
        "pattlite_jax.predict.measure_cut` again."
      )
    yield network, result


def _percent(share: float | None) -> str:
  return "" if share is None else f"{100 * share:.1f}"
