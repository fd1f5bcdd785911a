"""Tables of what it costs to find a face, and of crops that are not square."""

from typing import Any

from etils import epath

from pattlite_jax.runtime import json_file
from pattlite_jax.runtime.errors import UserError

FOLDER = "cut"  # Of results/.
_NETWORKS = ("ferplus", "fer2013")


def sides(results: epath.Path) -> list[str]:
  """Returns the accuracy by the side of the square around a found face."""
  lines: list[str] = []
  for network in _NETWORKS:
    result = _read(results / f"{network}.json")
    if result is None:
      continue
    by_side = _field(result, "accuracy_by_side", results, network)
    lines += [
      f"`{network}`: {result['found']:,} of {result['faces']:,} validation "
      f"faces were found again by {result['detector']}.",
      "",
      "| cut | accuracy |",
      "| --- | --- |",
      f"| the data set's own | {_percent(result['accuracy_uncut'])} |",
      *(
        f"| {side} x the box's mean side | {_percent(accuracy)} |"
        for side, accuracy in by_side.items()
      ),
      "",
    ]
  return lines


def shapes(results: epath.Path) -> list[str]:
  """Returns the accuracy of crops of each shape by what was made of them."""
  lines: list[str] = []
  for network in _NETWORKS:
    result = _read(results / f"{network}_shape.json")
    if result is None:
      continue
    by_shape = _field(result, "accuracy_by_shape", results, network)
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


def _read(path: epath.Path) -> dict[str, Any] | None:
  return json_file.read(path) if path.exists() else None


def _field(
  result: dict[str, Any], name: str, results: epath.Path, network: str
) -> dict[str, Any]:
  found = result.get(name)
  if not isinstance(found, dict) or not found:
    raise UserError(
      f"A result of {network} in {results} lacks {name}: run `python -m "
      "pattlite_jax.predict.measure_cut` again."
    )
  return found


def _percent(share: float | None) -> str:
  return "" if share is None else f"{100 * share:.1f}"
