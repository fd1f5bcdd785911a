"""Is what a results file says what its name, its row and its figures say?

A file may have been renamed, edited, or made by a command with other flags; a
table of such files would lie.
"""

import contextlib
import itertools
import json
import math
import pathlib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from pattlite_jax import config as config_lib
from pattlite_jax.config import files as config_files
from pattlite_jax.config import rules
from pattlite_jax.report.row import Row, Scoring
from pattlite_jax.runtime import json_file
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring import metrics

_PROTOCOLS = ("per_sample", "across_batch", "flip_views")
_FIELD = re.compile(r"--config\.([^=]+)=(.*)", re.DOTALL)


def check(results: epath.Path, tables: Mapping[str, Sequence[Row]]) -> None:
  """Raises UserError, one line, for the first file that contradicts itself.

  Files that are in no table are checked in their figures alone.
  """
  supports: dict[tuple[str, str], tuple[Any, str]] = {}
  histories: dict[str, str] = {}
  known = set()
  for path, row, seed, scoring in _files(results, tables):
    known.add(path)
    result = json_file.read(path)
    with _naming(path):
      problems = [
        *_of_row(result, row, seed, scoring),
        *_of_figures(result, supports, path.name),
        *(() if scoring else _of_history(result, histories, path)),
      ]
    for problem in problems:
      raise UserError(
        f"{path} {problem} Run `launch/table.sh {path.parent.name} --rows="
        f"{row.name} --seed={seed}` for a new one, once this one is away."
      )
  for path in sorted(set(results.glob("*.json")) - known):
    result = json_file.read(path)
    if "splits" in result:  # Not a benchmark's.
      with _naming(path):
        problems = list(_of_figures(result, supports, path.name))
      for problem in problems:
        raise UserError(f"{path} {problem} Measure it again.")


@contextlib.contextmanager
def _naming(path: epath.Path) -> Iterator[None]:
  """Names a file that lacks what is compared, or has it of another kind."""
  try:
    yield
  except (
    *(ArithmeticError, AttributeError, LookupError, TypeError),
    ValueError,  # Such as a command whose quotes are open.
  ) as error:
    raise UserError(
      f"{path} is no result that can be shown: it lacks something, or has it "
      f"of another kind ({repr(error)[:200]})."
    ) from error


def _files(
  results: epath.Path, tables: Mapping[str, Sequence[Row]]
) -> Iterator[tuple[epath.Path, Row, int, Scoring | None]]:
  for table, rows in tables.items():
    for row in rows:
      # What it scores but has not trained lies in the table that trained it.
      own = (None,) if row.trained_in in ("", table) else ()
      for seed, scoring in itertools.product(row.seeds, own + row.scorings):
        end = f"_{scoring.name}" if scoring else ""
        path = results / table / f"{row.name}_seed{seed}{end}.json"
        if path.exists():
          yield path, row, seed, scoring


def _of_row(
  result: dict[str, Any], row: Row, seed: int, scoring: Scoring | None
) -> Iterator[str]:
  """Yields what contradicts the name of the file and the row."""
  config = config_files.load(pathlib.Path(row.config).stem)
  fields = config_lib.flat(config.to_dict()) | dict(row.overrides)
  dataset = "/".join(filter(None, (result["dataset"], result["rule"])))
  for name, found, expected in (
    ("the seed", result["seed"], seed),
    ("the data set", dataset, fields["data.name"]),
    ("the method", result.get("method", "pattlite"), fields["method"]),
  ):
    if found != expected:
      yield f"has {name} {found!r}, but its name says {expected!r}."
  if result["attention"] not in (None, fields["model.attention"]):
    yield (
      f"is of attention {result['attention']!r}, but its row of "
      f"{fields['model.attention']!r}."
    )
  yield from _of_command(result["command"], row, seed, scoring)
  if scoring:
    name = pathlib.PurePath(result["checkpoint"]).name
    if name != f"{row.name}_seed{seed}":
      yield f"scores the network {name}, which is not that of its name."
  changed = {change["field"] for change in result.get("config_changes", ())}
  for field in sorted(changed & {"seed", "data.name", *row.overrides}):
    yield f"says that config.{field} was changed in the middle of the run."


def _of_command(
  command: str, row: Row, seed: int, scoring: Scoring | None
) -> Iterator[str]:
  """Yields the flags of the command that differ from those of the row."""
  words = shlex.split(command)
  if scoring:
    flags = {}
    for word in words:
      name, _, value = word.lstrip("-").partition("=")
      flags[name] = value
    for name, value in scoring.flags.items():
      if name in flags and flags[name] != str(value):
        yield f"was scored with --{name}={flags[name]}, not {value}."
    return
  given = {m[1]: m[2] for m in map(_FIELD.fullmatch, words) if m}
  for field, value in {"seed": seed, **row.overrides}.items():
    if field in given and _told(field, given[field]) != _told(field, value):
      yield f"was trained with config.{field}={given[field]}, not {value}."


def _told(field: str, value: Any) -> str:
  """Returns what tells values apart; of paths, their ends: machines differ."""
  is_path = isinstance(config_lib.FIELDS[field].allowed, rules.Path)
  return pathlib.PurePath(str(value)).name if is_path else str(value)


def _of_figures(
  result: dict[str, Any],
  supports: dict[tuple[str, str], tuple[Any, str]],
  name: str,
) -> Iterator[str]:
  """Yields figures that contradict each other, or another file's split.

  `supports` holds how many images of each class a split has, and who says so.
  """
  dataset = f"{result['dataset']}/{result['rule']}"
  for split, protocols in result["splits"].items():
    for protocol in filter(protocols.get, _PROTOCOLS):
      figures = protocols[protocol]
      where = f"{split}, {protocol}"
      confusion = np.array(figures["confusion_matrix"])
      support = confusion.sum(1).tolist()
      count = figures["num_examples"]
      if sum(support) != count:
        yield (
          f"({where}) has {count} images, but a confusion matrix of "
          f"{sum(support)}."
        )
        return
      for figure, expected in _from_confusion(confusion).items():
        if not math.isclose(figures[figure], expected, abs_tol=1e-6):
          yield (
            f"({where}) has {figure} {figures[figure]:.6f}, but its confusion "
            f"matrix says {expected:.6f}."
          )
      known, by = supports.setdefault((dataset, split), (support, name))
      if sorted(known) != sorted(support):
        yield (
          f"({where}) has {count} images with {support} of each class, but "
          f"{by} has {sum(known)} with {known}."
        )


def _from_confusion(confusion: np.ndarray) -> dict[str, float]:
  """Returns the figures that a confusion matrix [K, K] decides."""
  classes = metrics.class_figures(confusion)

  def mean(name):
    values = [row[name] for row in classes if row[name] is not None]
    return float(np.mean(values))

  return {
    "accuracy": float(confusion.trace() / confusion.sum()),
    "macro_f1": mean("f1"),
    "mean_class_accuracy": mean("recall"),
  }


def _of_history(
  result: dict[str, Any], histories: dict[str, str], path: epath.Path
) -> Iterator[str]:
  """Yields that a run, epoch by epoch, is that of another seed of its row."""
  of_row = str(path).rpartition("_seed")[0]
  first = histories.setdefault(
    of_row + json.dumps(result["history"]), path.name
  )
  if result["history"] and first != path.name:
    yield f"is the same run as {first}, epoch by epoch."
