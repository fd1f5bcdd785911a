"""Trunks written anew in PyTorch, and what references of methods need.

Modules are named so that the state dicts have the names of the originals.
"""

import torch
from torch import nn


def conv(inputs, outputs, size, stride=1):
  return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


class Block(nn.Module):
  """BasicBlock, or Bottleneck with the stride in its 3x3 convolution."""

  def __init__(self, inputs, width, stride, bottleneck):
    super().__init__()
    outputs = 4 * width if bottleneck else width
    if bottleneck:
      parts = [(width, 1, 1), (width, 3, stride), (outputs, 1, 1)]
    else:
      parts = [(width, 3, stride), (outputs, 3, 1)]
    before = inputs
    self.depth = len(parts)
    for i, (features, size, step) in enumerate(parts, start=1):
      self.add_module(f"conv{i}", conv(before, features, size, step))
      self.add_module(f"bn{i}", nn.BatchNorm2d(features))
      before = features
    self.downsample = None
    if stride != 1 or inputs != outputs:
      self.downsample = nn.Sequential(
        conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
      )

  def forward(self, x):
    y = x
    for i in range(1, self.depth + 1):
      y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
      y = torch.relu(y) if i < self.depth else y
    return torch.relu(
      y + (x if self.downsample is None else self.downsample(x))
    )


class ResNet(nn.Module):
  """Returns the outputs of the stem and of every stage."""

  def __init__(self, blocks, bottleneck):
    super().__init__()
    self.conv1, self.bn1 = conv(3, 64, 7, 2), nn.BatchNorm2d(64)
    before = 64
    for stage, count in enumerate(blocks):
      width, made = 64 * 2**stage, []
      for i in range(count):
        stride = 2 if stage and not i else 1
        made.append(Block(before, width, stride, bottleneck))
        before = 4 * width if bottleneck else width
      self.add_module(f"layer{stage + 1}", nn.Sequential(*made))
    self.fc = nn.Linear(before, 10)

  def forward(self, images):
    """Takes pixels in [-1, 1], as ours does."""
    kind = {"dtype": images.dtype}
    mean = torch.tensor([0.485, 0.456, 0.406], **kind).reshape(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225], **kind).reshape(3, 1, 1)
    x = ((images + 1) / 2 - mean) / deviation
    x = torch.relu(self.bn1(self.conv1(x)))
    x = nn.functional.max_pool2d(x, 3, 2, 1)
    outputs = {"stem": x}
    for stage in range(1, 5):
      x = outputs[f"layer{stage}"] = getattr(self, f"layer{stage}")(x)
    return outputs


class Unit(nn.Module):
  """bottleneck_IR of face.evoLVe's model_irse.py."""

  def __init__(self, inputs, width, stride):
    super().__init__()
    if inputs == width:
      self.shortcut_layer = nn.MaxPool2d(1, stride)
    else:
      self.shortcut_layer = nn.Sequential(
        conv(inputs, width, 1, stride), nn.BatchNorm2d(width)
      )
    self.res_layer = nn.Sequential(
      nn.BatchNorm2d(inputs),
      conv(inputs, width, 3),
      nn.PReLU(width),
      conv(width, width, 3, stride),
      nn.BatchNorm2d(width),
    )

  def forward(self, x):
    return self.shortcut_layer(x) + self.res_layer(x)


class IR50(nn.Module):
  """Returns the outputs of the input layer and of three stages."""

  def __init__(self):
    super().__init__()
    self.input_layer = nn.Sequential(
      conv(3, 64, 3), nn.BatchNorm2d(64), nn.PReLU(64)
    )
    units, before = [], 64
    for width, count in ((64, 3), (128, 4), (256, 14), (512, 3)):
      for i in range(count):
        units.append(Unit(before, width, 2 if i == 0 else 1))
        before = width
    self.body = nn.Sequential(*units)
    self.output_layer = nn.Sequential(nn.BatchNorm2d(512))

  def forward(self, images):
    x = self.input_layer(images)
    outputs = {"input": x}
    for i, unit in enumerate(self.body[:21]):
      x = unit(x)
      stage = {2: "stage1", 6: "stage2", 20: "stage3"}.get(i)
      if stage:
        outputs[stage] = x
    return outputs


def make(name):
  """Returns a network of drawn weights whose batch norms do something."""
  torch.manual_seed(0)
  if name == "ir50":
    network = IR50()
  elif name == "resnet18":
    network = ResNet((2, 2, 2, 2), False)
  else:
    network = ResNet((3, 4, 6, 3), True)
  for module in network.modules():
    if isinstance(module, nn.BatchNorm2d):
      nn.init.uniform_(module.weight, 0.5, 1.5)
      nn.init.uniform_(module.bias, -0.5, 0.5)
      nn.init.uniform_(module.running_mean, -0.2, 0.2)
      nn.init.uniform_(module.running_var, 0.5, 1.5)
    if isinstance(module, nn.PReLU):
      nn.init.uniform_(module.weight, 0.1, 0.4)
  for module in network.modules():
    # A deep network of drawn weights makes much of a rounding: PyTorch's own
    # ResNet-50 is off by 5e-5 in float32. Small branches damp that.
    if isinstance(module, Block):
      nn.init.uniform_(getattr(module, f"bn{module.depth}").weight, 0.1, 0.3)
  return network


def tensors(tree):
  """Returns a tree of arrays as float64 tensors that take gradients."""
  if isinstance(tree, dict):
    return {name: tensors(leaf) for name, leaf in tree.items()}
  return torch.tensor(tree, dtype=torch.float64, requires_grad=True)


def gradients(loss, params):
  """Returns the gradients of a tree of `tensors`, by path; None is 0."""
  loss.backward()

  def walk(tree, path=()):
    if isinstance(tree, dict):
      for name, leaf in tree.items():
        yield from walk(leaf, (*path, name))
    else:
      grad = tree.grad if tree.grad is not None else torch.zeros_like(tree)
      yield path, grad.numpy()

  return dict(walk(params))


def batch_norm(x, params, stats, of_batch, epsilon=1e-5):
  """Normalises the second axis; also Keras' with its epsilon, 1e-3."""
  return nn.functional.batch_norm(
    x,
    None if of_batch else stats["mean"],
    None if of_batch else stats["var"],
    params["scale"],
    params["bias"],
    training=of_batch,
    eps=epsilon,
  )


def mobilenet(params, stats, images, of_batch):
  """MobileNetV1 to conv_pw_1_relu, images [B, 3, H, W] of even sizes."""

  def kernel(name):
    return params[name]["kernel"].permute(3, 2, 0, 1)

  def bn_relu6(x, name):
    x = batch_norm(x, params[name], stats[name], of_batch, epsilon=1e-3)
    return x.clamp(0, 6)

  x = nn.functional.pad(images, (0, 1, 0, 1))
  x = nn.functional.conv2d(x, kernel("conv1"), stride=2)
  x = bn_relu6(x, "conv1_bn")
  kernels = params["conv_dw_1"]["kernel"].permute(3, 2, 0, 1)
  x = nn.functional.conv2d(x, kernels, padding=1, groups=len(kernels))
  x = bn_relu6(x, "conv_dw_1_bn")
  x = nn.functional.conv2d(x, kernel("conv_pw_1"))
  return bn_relu6(x, "conv_pw_1_bn")


def arrays(network):
  return {name: tensor.numpy() for name, tensor in network.state_dict().items()}
