"""Stores the weights of an ONNX file as float16, as its TFLite original does.

python launch/detector.py IN.onnx ORIGINAL.tflite OUT.onnx

The network computes in float32 as before: a Cast makes each weight float32
again. Stops if a weight would change. `launch/detector.sh` calls it.
"""

import hashlib
import pathlib
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

_SMALLEST = 32  # Values; of shorter constants a Cast would cost more.


def name_by_use(graph: onnx.GraphProto) -> None:
  """Names the weights by the order of their use.

  tf2onnx numbers them otherwise in each run.
  """
  weights = {weight.name: weight for weight in graph.initializer}
  order: dict[str, str] = {}
  for node in graph.node:
    for place, name in enumerate(node.input):
      if name in weights:
        node.input[place] = order.setdefault(name, f"weight_{len(order)}")
  ordered = [weights[name] for name in order]
  for weight in ordered:
    weight.name = order[weight.name]
  del graph.initializer[:]
  graph.initializer.extend(ordered)


def store_as_float16(model: onnx.ModelProto) -> None:
  """Replaces each float32 weight by a float16 one and a Cast."""
  graph = model.graph
  casts = []
  for weight in graph.initializer:
    values = numpy_helper.to_array(weight)
    if values.dtype != np.float32 or values.size < _SMALLEST:
      continue
    short = values.astype(np.float16)
    if not np.array_equal(short.astype(np.float32), values):
      raise ValueError(f"{weight.name} is not float16 in the original.")
    name = weight.name
    weight.CopyFrom(numpy_helper.from_array(short, f"{name}_float16"))
    casts.append(
      helper.make_node(
        "Cast", [f"{name}_float16"], [name], to=onnx.TensorProto.FLOAT
      )
    )
  nodes = [*casts, *graph.node]
  del graph.node[:]
  graph.node.extend(nodes)


def main(source: str, original: str, out: str) -> None:
  """Writes the file, with what it is in its metadata."""
  model = onnx.load(source)
  name_by_use(model.graph)
  store_as_float16(model)
  for node in model.graph.node:
    node.name = ""
  digest = hashlib.sha256(pathlib.Path(original).read_bytes()).hexdigest()
  helper.set_model_props(
    model,
    {
      "name": "BlazeFace, full range",
      "origin": (
        "MediaPipe (Google), face_detection_full_range.tflite of the npm "
        "package @mediapipe/face_detection 0.4.1657300184"
      ),
      "origin_sha256": digest,
      "licence": "Apache-2.0",
    },
  )
  onnx.checker.check_model(model, full_check=True)
  onnx.save(model, out)


if __name__ == "__main__":
  main(*sys.argv[1:])
