"""A network as an ONNX file, written with `onnx.helper` alone.

Faces uint8 [batch, H, W, C] in, probabilities float32 [batch, K] out. Any
batch size; resizing is two products with constant matrices, as runtimes and
shape inference disagree about Resize of sizes that are no whole multiples.
"""

import json
from typing import Any

import numpy as np
import onnx
import onnxruntime
from jaxtyping import Float
from onnx import TensorProto, helper, numpy_helper

from pattlite_jax.export import networks
from pattlite_jax.export.networks import Run
from pattlite_jax.trained import Trained

_OPSET, _IR = 18, 10  # Of ONNX Runtime 1.18 and newer.
_FLOAT16_FROM = 64  # Numbers; what is smaller saves nothing.
_BATCH = 32  # Faces that are run together.
INPUT, OUTPUT = "faces", "probabilities"


class Graph:
  """`networks.Ops` in ONNX; images are [B, C, H, W], as its convolutions."""

  def __init__(self, *, float16: bool):
    self.nodes: list[onnx.NodeProto] = []
    self.constants: list[onnx.TensorProto] = []
    self._float16 = float16

  def resize(self, x, rows, columns):
    """See `networks.Ops.resize`."""
    x = self._add("Cast", x, to=TensorProto.FLOAT)
    x = self._add("Transpose", x, perm=[0, 3, 1, 2])
    x = self._add("MatMul", self._exact(rows, "resize_rows"), x)
    return self._add("MatMul", x, self._exact(columns.T, "resize_columns"))

  def affine(self, x, gain, bias, name):
    """See `networks.Ops.affine`."""
    x = self._add("Mul", x, self._exact(gain, f"{name}_gain"))
    return self._add("Add", x, self._exact(bias, f"{name}_bias"))

  def conv(self, x, kernel, bias, *, stride, pads, depthwise, name):
    """See `networks.Ops.conv`."""
    (top, bottom), (left, right) = pads
    inputs = [x, self._weights(kernel.transpose(3, 2, 0, 1), f"{name}_kernel")]
    if bias is not None:
      inputs.append(self._exact(bias, f"{name}_bias"))
    return self._add(
      "Conv",
      *inputs,
      name=name,
      kernel_shape=kernel.shape[:2],
      strides=[stride, stride],
      pads=[top, left, bottom, right],
      group=kernel.shape[3] if depthwise else 1,
    )

  def relu(self, x, highest=None):
    """See `networks.Ops.relu`."""
    if highest is None:
      return self._add("Relu", x)
    edges = [self._exact(np.float32(v), f"clip_{v:g}") for v in (0, highest)]
    return self._add("Clip", x, *edges)

  def pooled(self, x):
    """See `networks.Ops.pooled`."""
    return self._mean(x, [2, 3])

  def tokens(self, x):
    """See `networks.Ops.tokens`."""
    shape = self._exact(np.array([0, 0, -1], np.int64), "tokens_shape")
    return self._add(
      "Transpose", self._add("Reshape", x, shape), perm=[0, 2, 1]
    )

  def attend(self, x, scale):
    """See `networks.Ops.attend`."""
    scores = self._add("MatMul", x, self._add("Transpose", x, perm=[0, 2, 1]))
    scale_name = self._exact(np.float32(scale), "attention_scale")
    scores = self._add("Mul", scores, scale_name)
    return self._mean(self._add("MatMul", self.softmax(scores), x), [1])

  def dense(self, x, kernel, bias, name):
    """See `networks.Ops.dense`."""
    x = self._add("MatMul", x, self._weights(kernel, f"{name}_kernel"))
    return self._add("Add", x, self._exact(bias, f"{name}_bias"))

  def softmax(self, x):
    """See `networks.Ops.softmax`."""
    return self._add("Softmax", x, axis=-1)

  def _mean(self, x, axes):
    name = self._exact(np.array(axes, np.int64), f"axes_{len(self.nodes)}")
    return self._add("ReduceMean", x, name, keepdims=0)

  def _add(self, kind: str, *inputs: str, name: str = "", **attributes) -> str:
    """Adds a node; returns the name of what it gives."""
    name = name or f"{kind.lower()}_{len(self.nodes)}"
    self.nodes.append(
      helper.make_node(kind, inputs, [name], name=name, **attributes)
    )
    return name

  def _exact(self, value, name: str) -> str:
    """Adds a constant, unless it is there, and returns its name."""
    if all(constant.name != name for constant in self.constants):
      array = np.ascontiguousarray(value).reshape(np.shape(value))
      self.constants.append(numpy_helper.from_array(array, name))
    return name

  def _weights(self, value: Float[np.ndarray, "..."], name: str) -> str:
    """Adds a constant that may be stored as float16."""
    if not self._float16 or value.size < _FLOAT16_FROM:
      return self._exact(value, name)
    stored = self._exact(value.astype(np.float16), f"{name}_f16")
    return self._add("Cast", stored, name=name, to=TensorProto.FLOAT)


def model_of(network: Trained, *, float16: bool = False) -> onnx.ModelProto:
  """Returns the network in ONNX; `float16` halves the file, not the arithmetic.

  Raises:
    UserError: as `networks.probabilities`.
  """
  graph = Graph(float16=float16)
  output = networks.probabilities(graph, INPUT, network)
  graph.nodes[-1].output[0] = OUTPUT
  assert output == graph.nodes[-1].name and network.image_shape
  faces = helper.make_tensor_value_info(
    INPUT, TensorProto.UINT8, ["batch", *network.image_shape]
  )
  classes = helper.make_tensor_value_info(
    OUTPUT, TensorProto.FLOAT, ["batch", len(network.class_names)]
  )
  model = helper.make_model(
    helper.make_graph(
      graph.nodes, "pattlite_jax", [faces], [classes], graph.constants
    ),
    producer_name="pattlite_jax",
    opset_imports=[helper.make_opsetid("", _OPSET)],
    ir_version=_IR,
  )
  onnx.checker.check_model(model, full_check=True)
  return model


def content(network: Trained, *, float16: bool = False) -> bytes:
  """Returns the bytes of the file, without metadata; see `model_of`."""
  return model_of(network, float16=float16).SerializeToString()


def opened(content: bytes) -> Run:
  """Returns the file as a function of faces."""
  session = onnxruntime.InferenceSession(
    content, providers=["CPUExecutionProvider"]
  )

  def run(faces):
    parts = [
      session.run([OUTPUT], {INPUT: faces[first : first + _BATCH]})[0]
      for first in range(0, len(faces), _BATCH)
    ]
    return np.concatenate(list(map(np.asarray, parts)))

  return run


def with_metadata(content: bytes, said: dict[str, Any]) -> bytes:
  """Returns the file with what it says of itself, as its metadata_props.

  Text stays as it is; all else is JSON.
  """
  model = onnx.load_model_from_string(content)
  texts = {
    name: value if isinstance(value, str) else json.dumps(value)
    for name, value in said.items()
  }
  helper.set_model_props(model, texts)
  return model.SerializeToString()
