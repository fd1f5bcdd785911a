"""jaxtyping's types of arrays, without the 0.1 s that importing it takes.

`python -m pattlite_jax.predict` checks no types and must start fast, so there
they say nothing; wherever jaxtyping is loaded already they are its own.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or "jaxtyping" in sys.modules:
  from jaxtyping import Bool, Float, Float32, UInt8
else:

  class _Unchecked:
    def __class_getitem__(cls, shape: Any) -> Any:
      return Any

  Bool = Float = Float32 = UInt8 = _Unchecked

__all__ = ["Bool", "Float", "Float32", "UInt8"]
