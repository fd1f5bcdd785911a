"""Digests of what a checkpoint holds: has it come back as it was saved?"""

import hashlib
import json
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree


def of_arrays(tree: PyTree) -> str:
  """Returns a digest of the leaves: their names, dtypes, shapes and bytes.

  A field of a dataclass and a key of a dict name a leaf alike, so a tree has
  the digest of the nested dicts that Orbax makes of it.
  """
  leaves = {
    name_of(path): np.asarray(leaf)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }
  digest = hashlib.blake2b(digest_size=16)
  for name, leaf in sorted(leaves.items()):
    digest.update(f"{name} {leaf.dtype} {leaf.shape}\n".encode())
    digest.update(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8).data)
  return digest.hexdigest()


def of_json(value: Any) -> str:
  """Returns a digest of what JSON takes; tuples and lists are the same."""
  text = json.dumps(value, sort_keys=True)
  return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def name_of(path: tuple[Any, ...]) -> str:
  """Returns a leaf's name, as "params/trunk/conv1/kernel"."""
  return jax.tree_util.keystr(path, simple=True, separator="/")
