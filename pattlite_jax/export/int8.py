"""Activations in 8 bits and weights in 7, for ONNX Runtime on CPUs.

Per channel: one scale for all channels of a depthwise layer costs 7 points of
accuracy. The first convolution, what comes before it and after the last one
stay float32. Slower than float32 in browsers.
"""

import dataclasses
import pathlib
import tempfile
from typing import Any

import numpy as np
import onnx
from jaxtyping import UInt8
from onnxruntime import quantization

from pattlite_jax.data.examples import Examples
from pattlite_jax.export import onnx_file
from pattlite_jax.runtime.errors import UserError

NUM_CALIBRATION = 256  # Faces whose activations say the ranges.
LARGEST_FALL = 0.005  # Of the accuracy, a share.
_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Faces:
  """The faces that an 8-bit file is made with, in the network's classes."""

  calibration: Examples
  judging: Examples


class _Reader(quantization.CalibrationDataReader):
  def __init__(self, images: UInt8[np.ndarray, "N H W C"]):
    self._batches = iter(
      images[first : first + _BATCH] for first in range(0, len(images), _BATCH)
    )

  def get_next(self) -> Any:
    """Returns the next batch; None after the last."""
    batch = next(self._batches, None)
    return None if batch is None else {onnx_file.INPUT: batch}


def content(
  float32: bytes, faces: Faces, *, largest_fall: float = LARGEST_FALL
) -> tuple[bytes, dict[str, float]]:
  """Returns the file in 8 bits, and both accuracies on the judging faces.

  Raises:
    UserError: if the accuracy falls by more than `largest_fall`, a share.
  """
  quantised = _quantised(float32, faces.calibration)
  accuracies = {
    "float32_accuracy": _accuracy(float32, faces.judging),
    "int8_accuracy": _accuracy(quantised, faces.judging),
  }
  before, after = accuracies.values()
  if before - after > largest_fall:
    raise UserError(
      f"In 8 bits the accuracy on {len(faces.judging):,} faces falls from "
      f"{before:.4f} to {after:.4f}, by more than {largest_fall}, so nothing "
      "was written. float16 halves the file without that.",
      setting="precision",
    )
  return quantised, accuracies


def _quantised(float32: bytes, faces: Examples) -> bytes:
  model = onnx.load_model_from_string(float32)
  rows = np.linspace(0, len(faces) - 1, min(len(faces), NUM_CALIBRATION))
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "int8.onnx"
    quantization.quantize_static(
      model,
      path,
      _Reader(faces.images[rows.astype(int)]),
      quant_format=quantization.QuantFormat.QDQ,
      nodes_to_quantize=_convolutions(model),
      per_channel=True,
      activation_type=quantization.QuantType.QUInt8,
      weight_type=quantization.QuantType.QInt8,
      reduce_range=True,  # Sums of CPUs without VNNI overflow at 8 bits.
      calibrate_method=quantization.CalibrationMethod.MinMax,
    )
    return path.read_bytes()


def _convolutions(model: onnx.ModelProto) -> list[str]:
  """Returns the names of all convolutions but the first, and of their ReLUs.

  A ReLU that is left out would have its convolution quantised over the whole
  range before it. The first takes little time, and much accuracy.
  """
  first, *others = (n for n in model.graph.node if n.op_type == "Conv")
  del first
  outputs = {node.output[0] for node in others}
  relus = [
    node
    for node in model.graph.node
    if node.op_type in ("Clip", "Relu") and node.input[0] in outputs
  ]
  return [node.name for node in (*others, *relus)]


def _accuracy(content: bytes, faces: Examples) -> float:
  run = onnx_file.opened(content)
  classes = [
    run(faces.images[first : first + _BATCH]).argmax(-1)
    for first in range(0, len(faces), _BATCH)
  ]
  return float((np.concatenate(classes) == faces.labels).mean())
