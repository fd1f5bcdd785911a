"""Packages that are imported when they are first used.

They take a tenth of a second or more. etils.epath takes longer than
onnxruntime, and photographs of a local folder need none of it: modules that
`python -m pattlite_jax.predict` starts with take it from here, and begin with
`from __future__ import annotations`. optax is for training, not for `load`.
"""

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  import optax
  from etils import epath

__all__ = ["epath", "optax"]

_NAMES = {"epath": "etils.epath", "optax": "optax"}


def __getattr__(name: str) -> Any:
  """Returns a package that whoever imports it from here will use."""
  if name not in _NAMES:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  full = _NAMES[name]
  return sys.modules.get(full) or _lazy(full)


def _lazy(name: str):
  spec = importlib.util.find_spec(name)
  assert spec and spec.loader
  spec.loader = importlib.util.LazyLoader(spec.loader)
  module = importlib.util.module_from_spec(spec)
  sys.modules[name] = module
  spec.loader.exec_module(module)
  return module
