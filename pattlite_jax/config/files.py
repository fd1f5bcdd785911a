"""Finds configs: the package's recipes by their names, others by their paths.

The folder recipes beside this file is configs/ of the repository; an installed
package holds a copy of it.
"""

import pathlib
import re
import runpy
from collections.abc import Mapping, Sequence

import ml_collections
from absl import app

from pattlite_jax import config as config_lib
from pattlite_jax.runtime import errors
from pattlite_jax.runtime.errors import MissingFileError, UserError

_RECIPES = pathlib.Path(__file__).parent / "recipes"
_OVERRIDE = re.compile(r"--?(?:no)?config\.([^=]+)")


def names() -> list[str]:
  """Returns the names of the recipes that come with the package."""
  return sorted(path.stem for path in _RECIPES.glob("*.py"))


def find(name: str) -> pathlib.Path:
  """Returns the file of a recipe's name, such as fer2013, or of a path.

  Raises:
    MissingFileError: if there is none; lists the recipes.
  """
  if name in names():
    return _RECIPES / f"{name}.py"
  path = pathlib.Path(name).expanduser()
  if not path.is_file():
    raise MissingFileError(
      f"There is no config {name!r}; pass --config=<a file of your own> or one "
      f"of the recipes {', '.join(names())}."
    )
  return path


def load(name: str) -> ml_collections.ConfigDict:
  """Returns the config of a recipe's name or a path; errors are `find`'s."""
  return runpy.run_path(str(find(name)))["get_config"]()


def arguments(
  argv: Sequence[str],
  former: Mapping[str, config_lib.Former] = config_lib.FORMER,
) -> list[str]:
  """Returns a command's arguments with the path of the recipe in --config.

  Raises:
    MissingFileError: as `find`.
    UserError: if a flag names a field that is not there.
  """
  found = []
  for before, word in zip(["", *argv], argv, strict=False):
    flag, equals, value = word.partition("=")
    if before in ("--config", "-config"):
      word = str(find(word))
    elif flag in ("--config", "-config") and equals:
      word = f"{flag}={find(value)}"
    override = _OVERRIDE.match(word)
    if override and override[1] not in config_lib.FIELDS:
      raise UserError(config_lib.unknown(override[1], former))
    found.append(word)
  return found


def parse_flags(argv: list[str]) -> list[str]:
  """Parses the flags of a command with --config, as `output.run` wants it."""
  with errors.in_one_line():
    argv = arguments(argv)
  return app.parse_flags_with_usage(argv)
