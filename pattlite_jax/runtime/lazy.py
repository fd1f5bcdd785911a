"""Packages that are imported when they are first used.

They take a tenth of a second or more. etils.epath takes longer than
onnxruntime, and photographs of a local folder need none of it: modules that
`python -m pattlite_jax.predict` starts with take it from here, and begin with
`from __future__ import annotations`. optax is for training, not for `load`.
"""

import importlib.util
import sys
from typing import TYPE_CHECKING


def _lazy(name: str):
  spec = importlib.util.find_spec(name)
  assert spec and spec.loader
  spec.loader = importlib.util.LazyLoader(spec.loader)
  module = importlib.util.module_from_spec(spec)
  sys.modules[name] = module
  spec.loader.exec_module(module)
  return module


if TYPE_CHECKING:
  import optax
  from etils import epath
else:
  epath = sys.modules.get("etils.epath") or _lazy("etils.epath")
  optax = sys.modules.get("optax") or _lazy("optax")

__all__ = ["epath", "optax"]
