"""ONNX Runtime's side of the benchmark: inference alone, on the CPU."""

import os
import tempfile

import numpy as np
import onnxruntime
import torch

from pattlite_jax.benchmark import work
from pattlite_jax.benchmark.peers import torch_pattlite


class Side:
  """See `work.Side`. Runs what PyTorch exports, at one batch size."""

  def __init__(self, shared: work.Work):
    self._work = shared

  def forward(self, faces):
    """See `work.Side.forward`."""
    images = faces.images
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "pattlite.onnx")
      torch.onnx.export(
        _Predict(self._work.flat, len(faces.class_names)).eval(),
        (torch.from_numpy(images),),
        path,
        dynamo=True,
        verbose=False,
      )
      session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
      )
    name = session.get_inputs()[0].name

    def once():
      return session.run(None, {name: images})[0]

    return once, np.asarray(once())

  def wait(self, output):
    """See `work.Side.wait`; ONNX Runtime returns when it is done."""
    del output


class _Predict(torch.nn.Module):
  """u8[B, H, W, 3] -> probabilities."""

  def __init__(self, flat, num_classes):
    super().__init__()
    self.model = torch_pattlite.PAttLite(num_classes)
    torch_pattlite.load(self.model, flat)

  def forward(self, images):
    images = images.permute(0, 3, 1, 2).float() / 127.5 - 1
    return torch.softmax(self.model(images), dim=-1)
