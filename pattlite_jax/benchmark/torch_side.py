"""PyTorch's side of the benchmark, channels last; eager or compiled.

On a GPU it computes under bf16 autocast where we do. It is given what helps
it: TF32, cudnn.benchmark and a fused Adam.
"""

import numpy as np
import torch
from torch.nn import functional

from pattlite_jax.benchmark import work
from pattlite_jax.benchmark.peers import torch_pattlite

_DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Side:
  """See `work.Side`."""

  def __init__(self, shared: work.Work, *, compiled: bool = False):
    self._work = shared
    self._compiled = compiled
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")

  def forward(self, faces):
    """See `work.Side.forward`."""
    model = self._model(len(faces.class_names)).eval()
    images = torch.from_numpy(faces.images).to(_DEVICE)

    def predict(images):
      with self._autocast():
        return functional.softmax(model(_scaled(_nchw(images))), dim=-1)

    predict = self._maybe_compiled(predict)

    def once():
      with torch.inference_mode():  # PyTorch 2.11 cannot compile it.
        return predict(images)

    return once, once().float().cpu().numpy()

  def train_step(self, stage, faces):
    """See `work.Side.train_step`."""
    config = self._work.config
    model = self._model(len(faces.class_names), trunk_trains=stage == "stage2")
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    adam = torch.optim.Adam(
      trained, config[stage].learning_rate, eps=1e-7, fused=True
    )
    images = torch.from_numpy(faces.images).to(_DEVICE)
    labels = torch.from_numpy(faces.labels.astype(np.int64)).to(_DEVICE)
    factor = config.augment.random_contrast

    def loss_of(images, labels):
      with self._autocast():
        logits = model(_scaled(_augmented(_nchw(images), factor)))
      return functional.cross_entropy(logits.float(), labels)

    loss_of = self._maybe_compiled(loss_of)

    def once():
      adam.zero_grad()
      loss = loss_of(images, labels)
      loss.backward()
      torch.nn.utils.clip_grad_norm_(trained, config.global_clipnorm)
      adam.step()
      return loss

    return once

  def wait(self, output):
    """See `work.Side.wait`."""
    output.detach().cpu()
    if _DEVICE == "cuda":
      torch.cuda.synchronize()

  def _model(self, num_classes, **options):
    model = torch_pattlite.PAttLite(num_classes, **options)
    torch_pattlite.load(model, self._work.flat)
    # Torch's own overloads lack memory_format.
    # pyrefly: ignore [no-matching-overload]
    return model.to(_DEVICE, memory_format=torch.channels_last)

  def _autocast(self):
    half = self._work.config.model.dtype == "bfloat16"
    return torch.autocast(_DEVICE, torch.bfloat16, enabled=half)

  def _maybe_compiled(self, function):
    return torch.compile(function) if self._compiled else function


def _nchw(images):
  images = images.permute(0, 3, 1, 2).float()
  if images.shape[-1] != work.IMAGE_SIZE:
    images = functional.interpolate(
      images, size=work.IMAGE_SIZE, mode="bilinear"
    )
  return images.contiguous(memory_format=torch.channels_last)


def _augmented(images, factor):
  """Flips and changes the contrast of each image by its own draw."""
  shape = (len(images), 1, 1, 1)
  flipped = torch.rand(shape, device=images.device) < 0.5
  images = torch.where(flipped, images.flip(-1), images)
  gains = 1 + factor * (2 * torch.rand(shape, device=images.device) - 1)
  means = images.mean((2, 3), keepdim=True)
  return ((images - means) * gains + means).clamp(0, 255)


def _scaled(images):
  return images / 127.5 - 1
