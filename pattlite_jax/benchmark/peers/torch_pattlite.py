"""PAtt-Lite in PyTorch, as its users would write it; a peer of the benchmark.

The published network (arXiv 2306.09626): attention over the batch. Images are
NCHW, best in memory format channels_last.
"""

import re
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from pattlite_jax.models.mobilenet_v1_layers import (
  LAYER_NAMES,
  LAYERS,
  PATT_LITE_CUT,
)

_EPSILON, _MOMENTUM = 1e-3, 0.01  # Keras' batch norm, in PyTorch's terms.


class Trunk(nn.Module):
  """MobileNetV1 up to PAtt-Lite's cut; modules have Keras' layer names."""

  def __init__(self):
    super().__init__()
    channels = 3
    for name, kind, features, stride in LAYERS[
      : LAYER_NAMES.index(PATT_LITE_CUT) + 1
    ]:
      if kind == "conv3x3":
        # Zeros go right and below alone, as TensorFlow pads at stride 2.
        self.add_module(f"{name}_pad", nn.ZeroPad2d((0, 1, 0, 1)))
        layer = nn.Conv2d(channels, features, 3, stride, bias=False)
      elif kind == "depthwise":
        layer = nn.Conv2d(
          channels, channels, 3, stride, 2 - stride, 1, channels, bias=False
        )
      elif kind == "pointwise":
        layer = nn.Conv2d(channels, features, 1, bias=False)
      elif kind == "bn":
        layer = nn.BatchNorm2d(channels, _EPSILON, _MOMENTUM)
      else:
        layer = nn.ZeroPad2d((0, 1, 0, 1)) if kind == "pad" else nn.ReLU6()
      self.add_module(name, layer)
      channels = features or channels

  def forward(self, x):
    for layer in self.children():
      x = layer(x)
    return x


class PAttLite(nn.Module):
  """f32[B, 3, H, W] in [-1, 1] -> logits f32[B, K]."""

  def __init__(self, num_classes: int, *, trunk_trains: bool = False):
    super().__init__()
    self.trunk_trains = trunk_trains
    self.trunk = Trunk().requires_grad_(trunk_trains)
    for module in self.trunk.modules():
      if isinstance(module, nn.BatchNorm2d):  # Statistics and scale stay.
        module.requires_grad_(False)
    self.patch1 = _separable(512, 4, 4)
    self.patch2 = _separable(256, 2, 2)
    self.patch3 = nn.Conv2d(256, 256, 1)
    self.pre_classifier = nn.Linear(256, 32)
    self.pre_classifier_bn = nn.BatchNorm1d(32, _EPSILON, _MOMENTUM)
    self.attention_scale = nn.Parameter(torch.ones(()))
    self.classifier = nn.Linear(32, num_classes)
    self.spatial_dropout = nn.Dropout2d(0.2 if trunk_trains else 0.0)
    self.pooled_dropout = nn.Dropout(0.2 if trunk_trains else 0.1)
    self.attended_dropout = nn.Dropout(0.2 if trunk_trains else 0.0)

  def train(self, mode: bool = True) -> "PAttLite":
    """Leaves the trunk's batch norm in inference mode, in both stages."""
    super().train(mode)
    self.trunk.eval()
    return self

  def forward(self, images):
    with torch.set_grad_enabled(self.trunk_trains and torch.is_grad_enabled()):
      x = self.trunk(images)
    # "Same" of kernel 4 and stride 4: 14 pixels become 16.
    x = functional.relu(self.patch1(functional.pad(x, (1, 1, 1, 1))))
    x = functional.relu(self.patch3(functional.relu(self.patch2(x))))
    x = self.pooled_dropout(self.spatial_dropout(x).mean((2, 3)))
    x = self.pre_classifier_bn(functional.relu(self.pre_classifier(x)))
    weights = functional.softmax(self.attention_scale * x @ x.T, dim=-1)
    return self.classifier(self.attended_dropout(weights @ x))


def _separable(channels: int, kernel_size: int, stride: int) -> nn.Sequential:
  return nn.Sequential(
    nn.Conv2d(
      channels, channels, kernel_size, stride, groups=channels, bias=False
    ),
    nn.Conv2d(channels, 256, 1),
  )


def load(model: PAttLite, flat: Mapping[tuple[str, ...], np.ndarray]) -> None:
  """Copies a flat Flax tree of variables into the model."""
  names = {
    "scale": "weight",
    "mean": "running_mean",
    "var": "running_var",
    "kernel": "weight",
  }
  state = model.state_dict()
  for path, value in flat.items():
    name = ".".join(names.get(part, part) for part in path[1:])
    name = re.sub(r"^(patch_extraction|attention_classifier)\.", "", name)
    name = name.replace("depthwise", "0").replace("pointwise", "1")
    array = np.array(value)
    if array.ndim == 4:
      array = array.transpose(3, 2, 0, 1)  # HWIO -> OIHW
    elif array.ndim == 2:
      array = array.T
    state[name].copy_(torch.from_numpy(array))
