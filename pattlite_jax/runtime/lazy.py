"""etils.epath, imported when first used.

It takes longer to import than onnxruntime, and photographs of a local folder
need none of it. Modules that `python -m pattlite_jax.predict` starts with take
it from here, and begin with `from __future__ import annotations`.
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
  from etils import epath
else:
  epath = sys.modules.get("etils.epath") or _lazy("etils.epath")

__all__ = ["epath"]
