"""Imports point one way: commands -> training, scoring -> methods -> models."""

import ast
import pathlib

import pytest

import pattlite_jax

PACKAGE = pathlib.Path(pattlite_jax.__file__).parent
# What each part may import, beside itself. A part is a folder, or a file at
# the top of the package.
LOWEST = {"runtime", "method"}
CONFIG = {"config", "models", "runtime"}  # Layer names alone.
NETWORKS = {"methods", "models", "weights", "data", *LOWEST, *CONFIG}
USE = {"trained", "scoring", *NETWORKS}
ALLOWED = {
  "runtime": set(),
  "method": set(),
  "config": {"models", "runtime"},
  "models": LOWEST,
  "data": LOWEST,
  "methods": {"models", "data", *LOWEST},
  "weights": {"methods", "models", "data", "method", *CONFIG},
  "scoring": {"data", *LOWEST},
  "trained": {"scoring", *NETWORKS},
  "ensemble": USE,
  "predict": USE,
  "training": USE,
}
COMMANDS = {
  "__init__", "main", "evaluate", "pack", "audit", "benchmark", "inspect",
  "release", "report", "export", "page", "compile",
}  # fmt: skip
# The report shows what the benchmark has measured and what TPU chips would do,
# a look at the data and a card the duplicates of the audit; the others write
# exported files.
BESIDE = {
  "report": {"benchmark", "compile"}, "inspect": {"audit"},
  "release": {"audit", "export"}, "benchmark": {"export"}, "page": {"export"},
}  # fmt: skip


def part_of(path):
  return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path):
  """Yields the parts of the package that a module imports, at any depth."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
      continue
    for name in names:
      package, _, rest = name.partition(".")
      if package == "pattlite_jax" and rest:
        yield rest.partition(".")[0]


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize(
  "path", MODULES, ids=[str(m.relative_to(PACKAGE)) for m in MODULES]
)
def test_imports_point_one_way(path):
  part = part_of(path)
  found = set(imported(path)) - {part}
  assert part in ALLOWED.keys() | COMMANDS
  if part in COMMANDS:
    assert not found & COMMANDS - BESIDE.get(part, set()), "Another command."
  else:
    assert found <= ALLOWED[part], found - ALLOWED[part]


def test_the_top_of_the_package_is_small():
  entries = [p for p in PACKAGE.iterdir() if p.name != "__pycache__"]
  assert len(entries) <= 25, sorted(p.name for p in entries)
