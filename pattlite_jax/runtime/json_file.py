"""JSON from files that anybody may have written."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

from pattlite_jax.runtime import durable
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.runtime.lazy import epath

MAX_BYTES = 50_000_000  # A run's record of 1,000 epochs has 300,000.


def read(path: pathlib.Path | epath.Path) -> dict[str, Any]:
  """Returns the object in a file.

  Raises:
    UserError: if it is not one, or larger than `MAX_BYTES`.
  """
  local = durable.is_local(path)
  size = os.path.getsize(path) if local else epath.Path(path).stat().length
  if size > MAX_BYTES:
    raise UserError(
      f"{path} is not read: it has {size:,} bytes, at most {MAX_BYTES:,} are."
    )
  try:
    found = json.loads(path.read_text())
  except ValueError as error:  # It is not JSON, or not UTF-8.
    raise UserError(f"{path} is not valid JSON: {error}.") from error
  except RecursionError as error:
    raise UserError(f"{path} is not valid JSON: it is too deep.") from error
  if not isinstance(found, dict):
    kind = type(found).__name__
    raise UserError(f"{path} is not valid JSON: a {kind}, but no object.")
  return found
