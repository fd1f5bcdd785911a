"""ARM against a reference in PyTorch, written from the paper's facts."""

import jax
import jax.numpy as jnp
import numpy as np
import one_step
import pytest
import small_step

from pattlite_jax import methods
from pattlite_jax.audit import batch_dependence, of_trained
from pattlite_jax.config.fields import SHARINGS
from pattlite_jax.data import augment as augment_lib
from pattlite_jax.methods import arm
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring import protocols, text
from pattlite_jax.scoring.inputs import Inputs
from pattlite_jax.trained import Trained

torch = pytest.importorskip("torch")
import torch_networks  # noqa: E402


@pytest.fixture
def config(small_config):
  return small_step.configure(small_config, "arm")


@pytest.fixture(scope="module")
def faces():
  return small_step.faces()


def images_of(examples):
  prepared = augment_lib.prepare(jnp.asarray(examples.images), image_size=24)
  x = np.asarray(prepared, np.float64).repeat(3, axis=-1)
  return torch.tensor(x).movedim(3, 1)


def reference(params, stats, images, sharing, train):
  """Returns (logits, the mean that is shared) in float64.

  At 64 channels: PixelShuffle(4) to 4 maps, one 32x32 kernel with stride 8 for
  each, batch norm over the maps, their mean m_i, and m_i + alpha g.
  """
  x = torch_networks.mobilenet(params["trunk"], stats["trunk"], images, train)
  x = torch.nn.PixelShuffle(4)(x)
  size, maps = len(x), x.shape[1]
  x = torch.nn.functional.conv2d(
    x.reshape(-1, 1, *x.shape[2:]),
    params["window"]["kernel"][None, None],
    stride=8,
  )
  x = x.reshape(size, maps, *x.shape[2:])
  x = torch_networks.batch_norm(
    x, params["window_bn"], stats["window_bn"], train
  )
  m = x.mean(1)
  mean = x.mean((0, 1))
  shared = {"constant": stats["sharing_mean"], "off": 0 * mean}
  if train:
    shared["constant"] = mean
  r = m + params["sharing_weight"] * shared.get(sharing, mean)
  head = params["classifier"]
  return r.flatten(1) @ head["kernel"] + head["bias"], mean


@pytest.fixture(scope="module")
def drawn(faces):
  """Returns (variables, stats with a shared mean) that make differences."""
  from pattlite_jax import config as config_lib

  config = config_lib.get_config()
  config.method = "arm"
  config.model.image_size = 24
  config.model.cut = "conv_pw_1_relu"
  variables = small_step.draw_variables(config)
  variables["params"]["classifier"]["kernel"] *= 5
  return variables


@pytest.mark.parametrize("channels", [512, 64])
def test_channels_become_pixels_as_in_pytorch(channels):
  r = arm.factor(channels)
  assert {512: 16, 2048: 32, 256: 8, 64: 4}[channels] == r
  features = np.random.default_rng(0).normal(size=(2, 3, 2, channels))
  features = features.astype(np.float32)
  shuffled = torch.nn.PixelShuffle(r)(torch.tensor(features).movedim(3, 1))
  np.testing.assert_array_equal(
    arm.arrange(jnp.asarray(features), r), shuffled.movedim(1, 3).numpy()
  )


@pytest.mark.parametrize("size", [(32, 48), (45, 112)])
def test_the_window_slides_as_a_convolution_does(size):
  rng = np.random.default_rng(0)
  maps = rng.normal(size=(2, *size, 2)).astype(np.float32)
  kernel = rng.normal(size=(32, 32)).astype(np.float32)
  x = torch.tensor(maps).movedim(3, 1).reshape(4, 1, *size).double()
  weight = torch.tensor(kernel)[None, None].double()
  y = torch.nn.functional.conv2d(x, weight, stride=8)
  expected = y.reshape(2, 2, *y.shape[2:]).movedim(1, 3).numpy()
  found = arm.slide(jnp.asarray(maps), jnp.asarray(kernel))
  assert found.shape == expected.shape
  np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.slow
def test_loss_gradients_and_statistics_are_the_references(config, faces, drawn):
  config.model.sharing = "batch"
  params, stats = (
    torch_networks.tensors(drawn[kind]) for kind in ("params", "batch_stats")
  )
  logits, mean = reference(params, stats, images_of(faces), "batch", True)
  labels = torch.tensor(faces.labels).long()
  loss = torch.nn.functional.cross_entropy(logits, labels)
  metrics, found, tracked = one_step.take(config, faces, drawn)
  assert float(metrics.loss_sum) / 6 == pytest.approx(loss.item(), rel=1e-6)
  small_step.compare_gradients(found, torch_networks.gradients(loss, params))
  assert abs(found["sharing_weight",]) > 1e-4
  before = drawn["batch_stats"]["sharing_mean"]
  expected = 0.9 * before + 0.1 * mean.detach().numpy()
  np.testing.assert_allclose(tracked["sharing_mean"], expected, atol=1e-6)


@pytest.fixture(scope="module")
def logits_of(drawn):
  """Returns (sharing, images) -> logits, in inference."""
  from pattlite_jax.models.mobilenet_v1 import MobileNetV1

  module = arm.ARM(3, MobileNetV1("conv_pw_1_relu"), "batch")
  apply = {s: jax.jit(module.clone(sharing=s).apply) for s in SHARINGS}
  return lambda sharing, x: np.asarray(apply[sharing](drawn, x)["logits"])


def many(faces, size):
  rng = np.random.default_rng(size)
  return rng.uniform(-1, 1, (size, 24, 24, 1)).astype(np.float32)


@pytest.mark.parametrize(
  ("sharing", "size"),
  [("batch", 1), ("batch", 8), ("batch", 64), ("constant", 8), ("off", 8)],
)
def test_logits_are_the_references(sharing, size, faces, drawn, logits_of):
  images = many(faces, size)
  params, stats = (
    torch_networks.tensors(drawn[kind]) for kind in ("params", "batch_stats")
  )
  x = torch.tensor(images.astype(np.float64).repeat(3, axis=-1)).movedim(3, 1)
  with torch.no_grad():
    expected = reference(params, stats, x, sharing, False)[0].numpy()
  found = logits_of(sharing, images)
  assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_the_batch_adds_one_offset_to_the_logits_of_all_its_images(
  faces, logits_of
):
  first, second = many(faces, 8), many(faces, 64)[:8]
  offsets = [
    logits_of("batch", x) - logits_of("constant", x) for x in (first, second)
  ]
  for offset in offsets:
    assert np.ptp(offset, axis=0).max() < 1e-5  # The same for every image.
    assert np.abs(offset).max() > 0.05
  # And another one for another batch.
  assert np.abs(offsets[0][0] - offsets[1][0]).max() > 1e-3


@pytest.mark.parametrize("sharing", SHARINGS)
def test_only_sharing_over_the_batch_fails_the_audit(
  sharing, config, faces, drawn
):
  config.model.sharing = sharing
  network = Trained(drawn, config, faces.class_names)
  report = batch_dependence.audit(
    of_trained.logits_of(network), faces, batch_sizes=(1, 3), seed=0
  )
  assert report["passed"] == (sharing != "batch")
  assert network.mixes_batch == (sharing == "batch")


def test_evaluation_has_figures_of_each_image_and_of_its_batch(
  config, faces, drawn
):
  config.model.sharing = "batch"
  network = Trained(drawn, config, faces.class_names)
  result, predictions = protocols.evaluate(
    Inputs(network, "ferplus/majority", "test", faces, ()),
    protocols.Batches("class_sorted", 3, 0),
  )
  scores = result["splits"]["test"]
  assert scores["across_batch"]["batch_size"] == 3
  gap = predictions["logits_across_batch"] - predictions["logits"]
  assert np.abs(gap).max() > 1e-3
  assert "arm with sharing batch" in text.report(result | {"checkpoint": "x"})


def test_the_released_network_has_the_published_size(config):
  config.model.trunk = "resnet18"
  config.model.image_size = 224
  config.model.cut = "conv_dw_9_relu"
  params = methods.build(config, 7).shapes["params"]
  assert sum(x.size for x in jax.tree.leaves(params)) == 11_178_395
  assert params["classifier"]["kernel"].shape == (121, 7)


def test_too_small_a_map_names_the_smallest_one(config):
  config.model.image_size = 14
  with pytest.raises(UserError, match=r"7x7 feature map.*at least 8x8: enl"):
    _ = methods.build(config, 3).shapes
