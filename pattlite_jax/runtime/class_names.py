"""What the names of a network's classes may be."""

import reprlib
from typing import Any

from pattlite_jax.runtime.errors import UserError

_MAX_CLASSES, _MAX_LENGTH = 1000, 100


def checked(names: Any, where: str) -> tuple[str, ...]:
  """Returns names of classes from a file or a flag.

  `where` begins what an error says.

  Raises:
    UserError: unless they are distinct names of one printable line each.
  """
  allowed = (
    f"{where} must have 1 to {_MAX_CLASSES:,} class names, each of one line of "
    f"at most {_MAX_LENGTH} characters"
  )
  if not isinstance(names, list | tuple) or not names:
    raise UserError(f"{allowed}, but has {reprlib.repr(names)}.")
  if len(names) > _MAX_CLASSES:
    raise UserError(f"{allowed}, but has {len(names):,}.")
  for name in names:
    is_name = isinstance(name, str) and name.isprintable() and name.strip()
    if not is_name or len(name) > _MAX_LENGTH:
      raise UserError(f"{allowed}, but one is {reprlib.repr(name)}.")
  twice = sorted({name for name in names if names.count(name) > 1})
  if twice:
    raise UserError(f"{where} has the class name {twice[0]!r} twice.")
  return tuple(names)
