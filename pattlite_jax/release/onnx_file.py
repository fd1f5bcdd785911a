"""The ONNX file of a released network, with which `predict` starts at once."""

import dataclasses
import hashlib
import importlib.util

from absl import logging

from pattlite_jax.export import write as export
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.trained import Trained
from pattlite_jax.weights import model_folder

_NEEDS = ("onnx", "onnxruntime")


@dataclasses.dataclass(frozen=True)
class OnnxFile:
  """The file, and what config.json notes of it."""

  content: bytes
  noted: dict[str, str]


def of(network: Trained) -> OnnxFile | None:
  """Returns the file in float32, tried beside JAX.

  None, and a line that says why, where there can be none: predict then runs the
  network by JAX.
  """
  without = f"The folder has no {model_folder.ONNX}, so predict will start JAX"
  missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
  if missing:
    logging.warning(
      '%s: there is no %s. pip install "pattlite-jax[export]"',
      without,
      " and no ".join(missing),
    )
    return None
  try:
    content, said = export.content_of(network, "onnx")
  except UserError as error:  # Such as of a method that ONNX is not written of.
    logging.warning("%s: %s", without, error)
    return None
  digest = hashlib.sha256(content).hexdigest()
  return OnnxFile(content, {"sha256": digest, "weights_sha256": said["sha256"]})
