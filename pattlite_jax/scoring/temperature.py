"""One number that makes probabilities what they say: a temperature.

Guo et al., "On Calibration of Modern Neural Networks" (2017), section 4.2. The
class with the largest logit stays the same.
"""

import numpy as np
import scipy.optimize
import scipy.special
from jaxtyping import Float, Int

_LIMITS = (0.05, 20.0)


def fit(
  logits: Float[np.ndarray, "N K"], labels: Int[np.ndarray, "N"]
) -> float:
  """Returns the temperature whose quotients have the least cross-entropy.

  It lies in 0.05 to 20: perfect predictions would have one of 0.
  """
  exact, rows = logits.astype(np.float64), np.arange(len(labels))

  def loss(log_temperature):
    quotients = exact / np.exp(log_temperature)
    return -scipy.special.log_softmax(quotients, axis=-1)[rows, labels].mean()

  found = scipy.optimize.minimize_scalar(
    loss, bounds=np.log(_LIMITS), method="bounded", options={"xatol": 1e-4}
  )
  return float(np.exp(found.x))


def cross_fitted(
  logits: Float[np.ndarray, "N K"], labels: Int[np.ndarray, "N"]
) -> Float[np.ndarray, "N K"]:
  """Returns the logits over temperatures that did not see their labels.

  Every second image has that of the others, so that figures of them are not
  those of the images that the temperature was fitted on.
  """
  quotients = np.empty_like(logits)
  for first in (0, 1):
    own, others = slice(first, None, 2), slice(1 - first, None, 2)
    quotients[own] = logits[own] / fit(logits[others], labels[others])
  return quotients
