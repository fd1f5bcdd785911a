"""Every field of a run: its default, what it may be, and what it is for.

Defaults are neutral: what changes the data, the loss or the learning rate is
off, and no value is one paper's choice where a plain one exists. A run's own
values are in a recipe (configs/), which starts from `get_config()`, and in
`--config.<field>=<value>` for one run. `python -m pattlite_jax.config` prints
all fields. Needs neither JAX nor TensorFlow.
"""

import difflib
import pathlib
import textwrap
from collections.abc import Mapping
from typing import Any

import ml_collections

from pattlite_jax.config import rules
from pattlite_jax.config.fields import FIELDS, METHODS
from pattlite_jax.config.former import BEFORE, FORMER, Former
from pattlite_jax.config.rules import STAGES as STAGES
from pattlite_jax.runtime.errors import UserError

_RECIPES = pathlib.Path(__file__).parent / "recipes"


def get_config() -> ml_collections.ConfigDict:
  """Returns the locked config of all defaults; a misspelt field is an error."""
  defaults = {name: field.default for name, field in FIELDS.items()}
  return ml_collections.ConfigDict(_nested(defaults)).lock()


def check(config: ml_collections.ConfigDict) -> None:
  """Raises UserError, one line, for fields or values that no run can have."""
  fields = flat(config.to_dict())
  for name in [*fields, *FIELDS]:
    if name not in FIELDS:
      raise UserError(unknown(name))
    if name not in fields:
      raise UserError(
        f"config.{name} is missing; start a config from "
        "pattlite_jax.config.get_config(), which has every field."
      )
  _check_values(fields)
  _check_methods(fields)
  rules.check_together(fields)


def watches_validation(config: ml_collections.ConfigDict) -> bool:
  """Whether a run needs validation images to decide on anything."""
  return bool(rules.stages_that_watch_validation(flat(config.to_dict())))


def _check_values(fields: Mapping[str, Any]) -> None:
  for name, field in FIELDS.items():
    if not field.allowed.allows(fields[name]):
      raise UserError(
        f"config.{name} is {fields[name]!r}, but must be {field.allowed}."
      )


def _check_methods(fields: Mapping[str, Any]) -> None:
  """Raises UserError for a value that the method of the run does not read."""
  method = fields["method"]
  for name, field in FIELDS.items():
    if method not in field.methods and fields[name] != field.default:
      raise UserError(
        f"config.{name} is {fields[name]!r}, but has no effect with "
        f"config.method={method}; leave it at {field.default!r}. It is read by "
        f"{', '.join(field.methods)}.{_recipes_of(method)}"
      )


def _recipes_of(method: str) -> str:
  """Says which recipes are of a method; they end in its name."""
  names = sorted(path.stem for path in _RECIPES.glob(f"*_{method}.py"))
  if not names:
    return ""
  return f" Recipes of {method}: {', '.join(f'--config={n}' for n in names)}."


def unknown(name: str, former: Mapping[str, Former] = FORMER) -> str:
  """Returns what to say of a field that is not there, such as its new name."""
  text = f"There is no config.{name}"
  if name in former:
    now = former[name].now
    if now:
      return f"{text} any more: it is called config.{now} now."
    return f"{text} any more: what it did was taken out."
  nearest = difflib.get_close_matches(name, FIELDS, 1)
  hint = f" Did you mean config.{nearest[0]}?" if nearest else ""
  return f"{text}.{hint} `python -m pattlite_jax.config` lists all fields."


def upgrade(
  fields: Mapping[str, Any], former: Mapping[str, Former] = FORMER
) -> dict[str, Any]:
  """Returns the fields of a checkpoint's config as this version has them.

  Fields that are newer than the checkpoint take what its run had in effect. A
  field that has gone is left out where it did nothing, and otherwise stays: it
  says how the weights were trained.

  Raises:
    UserError: if a field was never there: the checkpoint is newer, or broken.
  """
  before = {name: field.default for name, field in FIELDS.items()} | BEFORE
  own = {}
  for name, value in flat(fields).items():
    if name in former and former[name].now:
      own[former[name].now] = value
    elif name in FIELDS or (name in former and value != former[name].off):
      own[name] = value
    elif name not in former:
      raise UserError(
        f"There is no config.{name}, which is {value!r} in the checkpoint: it "
        "is of a newer version, or broken."
      )
  return _nested(before | own)


def from_checkpoint(fields: Mapping[str, Any]) -> ml_collections.ConfigDict:
  """Returns the locked config of a checkpoint of this or an older version.

  Raises:
    UserError: as `upgrade`, and for a value that is not allowed.
  """
  upgraded = upgrade(fields)
  _check_values(flat(upgraded))
  config = get_config().unlock()
  config.update(upgraded)
  return config.lock()


def flat(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """Returns {"stage1.epochs": value}: fields named as their flags are."""
  found = {}
  for name, value in fields.items():
    if isinstance(value, Mapping):
      found |= flat(value, f"{prefix}{name}.")
    else:
      found[f"{prefix}{name}"] = value
  return found


def _nested(fields: Mapping[str, Any]) -> dict[str, Any]:
  """Undoes `flat`."""
  tree: dict[str, Any] = {}
  for name, value in fields.items():
    *sections, last = name.split(".")
    node = tree
    for section in sections:
      node = node.setdefault(section, {})
    node[last] = value
  return tree


def text() -> str:
  """Returns all fields in words, for a reader."""
  parts = []
  for name, field in FIELDS.items():
    says = f"{field.says} Must be {field.allowed}."
    if field.methods != METHODS:
      says += f" Read by {', '.join(field.methods)}."
    parts.append(f"config.{name}={field.default!r}\n{_wrapped(says)}")
  return "\n".join(parts)


def _wrapped(says: str) -> str:
  indent = "    "
  return textwrap.fill(
    says, 80, initial_indent=indent, subsequent_indent=indent
  )
