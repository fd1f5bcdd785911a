"""What is kept of repeated measurements."""

from collections.abc import Sequence

import numpy as np


def of_seconds(times: Sequence[float]) -> dict[str, float]:
  """Returns milliseconds: the median ("ms") and quartiles ("ms_low", ...)."""
  low, median, high = np.percentile(np.asarray(times) * 1e3, [25, 50, 75])
  return {"ms": float(median), "ms_low": float(low), "ms_high": float(high)}
