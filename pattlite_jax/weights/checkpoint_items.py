"""The items of one checkpoint step: written with digests, checked when read.

Orbax reads a changed byte of an array without an error, hence the digests.
"""

import math
import os
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from jaxtyping import PyTree

from pattlite_jax.runtime.errors import UserError
from pattlite_jax.weights import digests

ARRAY_ITEMS = ("state", "best")  # The others hold JSON.
MAX_BYTES = 4_000_000_000  # Of arrays; a run of PAtt-Lite saves 18 million.


class DamagedError(UserError):
  """What lies in a checkpoint is not what was saved."""


def to_save(items: dict[str, Any]) -> ocp.args.Composite:
  """Returns what Orbax saves: copies of the items, and their digests."""
  items = {
    name: _to_numpy(item) if name in ARRAY_ITEMS else item
    for name, item in items.items()
  }
  items["digests"] = {name: _digest(name, item) for name, item in items.items()}
  return ocp.args.Composite(
    **{
      name: ocp.args.StandardSave(item)
      if name in ARRAY_ITEMS
      else ocp.args.JsonSave(item)
      for name, item in items.items()
    }
  )


def read(
  manager: ocp.CheckpointManager, step: int, names: Sequence[str]
) -> dict[str, Any]:
  """Returns items of a step: JSON, or NumPy arrays in nested dicts (`fill`).

  Raises:
    DamagedError: if they are not what was saved.
  """
  folder = manager.directory / str(step)
  wanted = (*names, "digests")
  missing = [name for name in wanted if not (folder / name).is_dir()]
  if missing:
    raise DamagedError(f"{folder} has no {' and no '.join(missing)}")
  arguments: dict[str, Any] = {
    name: ocp.args.StandardRestore()
    if name in ARRAY_ITEMS
    else ocp.args.JsonRestore()
    for name in wanted
  }
  try:
    require_possible(folder, names)
    items = manager.restore(step, args=ocp.args.Composite(**arguments))
    digests_now = {name: _digest(name, items[name]) for name in names}
  except DamagedError:
    raise
  except Exception as error:  # Damage makes Orbax raise errors of many kinds.
    raise DamagedError(f"{folder} is unreadable: {first_line(error)}") from (
      error
    )
  saved = items["digests"] if isinstance(items["digests"], dict) else {}
  for name in names:
    if digests_now[name] != saved.get(name):
      raise DamagedError(f"{folder / name} is not what was saved there")
  return {name: items[name] for name in names}


def require_possible(
  folder: epath.Path, names: Sequence[str], max_bytes: int = MAX_BYTES
) -> None:
  """Raises DamagedError for what no run saves, before it fills the memory.

  An array of any size takes no bytes on the disk where it is all zeros, and a
  pipe would be waited for.
  """
  if "://" not in str(folder):
    for parent, _, files in os.walk(folder):
      for path in (os.path.join(parent, name) for name in files):
        if not os.path.isfile(path):
          raise DamagedError(f"{path} is no plain file")
        if os.path.getsize(path) > MAX_BYTES:
          raise DamagedError(f"{path} has more than {MAX_BYTES:,} bytes")
  for name in (name for name in names if name in ARRAY_ITEMS):
    metadata = ocp.StandardCheckpointHandler().metadata(folder / name)
    num_bytes = sum(
      math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize
      for leaf in jax.tree.leaves(metadata.tree)
      if hasattr(leaf, "shape")
    )
    if num_bytes > max_bytes:
      raise DamagedError(
        f"{folder / name} has arrays of {num_bytes:,} bytes, at most "
        f"{max_bytes:,} are read"
      )


def fill(like: PyTree, saved: PyTree) -> PyTree:
  """Returns the arrays of an item that was read, in the structure of `like`.

  Raises:
    UserError: if the names or shapes of the arrays differ.
  """
  arrays = _by_name(saved)
  have = {name: np.shape(leaf) for name, leaf in arrays.items()}
  need = {name: np.shape(leaf) for name, leaf in _by_name(like).items()}
  odd = [n for n in sorted(have | need) if have.get(n) != need.get(n)]
  if odd:
    raise UserError(
      f"The checkpoint's arrays are not those of the config's network: the "
      f"shape of {odd[0]} is {have.get(odd[0])} there and {need.get(odd[0])} "
      f"here, and {len(odd)} arrays differ. Pass the config it was saved with, "
      "or another --config.workdir."
    )
  return jax.tree_util.tree_map_with_path(
    lambda path, _: arrays[digests.name_of(path)], like
  )


def first_line(error: BaseException) -> str:
  """Returns what kind of error it is, and the ends of what it says."""
  text = f"{type(error).__name__}: {error}".partition("\n")[0]
  return text if len(text) < 300 else f"{text[:100]} ... {text[-160:]}"


def _by_name(tree: PyTree) -> dict[str, Any]:
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return {digests.name_of(path): leaf for path, leaf in leaves}


def _digest(name: str, item: Any) -> str:
  of = digests.of_arrays if name in ARRAY_ITEMS else digests.of_json
  return of(item)


def _to_numpy(tree: PyTree) -> PyTree:
  # Whole arrays on the host do not care how many devices or hosts there are.
  return jax.tree.map(np.array, jax.device_get(tree))
