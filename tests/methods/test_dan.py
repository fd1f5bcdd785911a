"""DAN against a reference in PyTorch, written from the paper's facts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import one_step
import pytest
import small_step

from pattlite_jax import methods
from pattlite_jax.data import augment as augment_lib
from pattlite_jax.methods import dan
from pattlite_jax.runtime.errors import UserError

torch = pytest.importorskip("torch")
import torch_networks  # noqa: E402


@pytest.fixture
def config(small_config):
  small_config.model.head_features = 8
  small_config.model.centers = 5
  return small_step.configure(small_config, "dan")


@pytest.fixture(scope="module")
def faces():
  """Faces of unlike brightness: of like ones, batch norm magnifies rounding."""
  drawn = small_step.faces()
  shares = np.array([1, 0.2, 0.6, 0.4, 0.8, 0.1])[:, None, None, None]
  images = (drawn.images * shares).astype(np.uint8)
  return dataclasses.replace(drawn, images=images)


def head(params, stats, x, train):
  """One of MAN's heads: [B, C, H, W] -> [B, C]."""

  def bn(y, name):
    return torch_networks.batch_norm(y, params[name], stats[name], train)

  def conv(y, name, padding):
    weight = params[name]["kernel"].permute(3, 2, 0, 1)
    y = torch.nn.functional.conv2d(y, weight, params[name]["bias"], 1, padding)
    return bn(y, f"{name}_bn")

  def dense(y, name):
    return y @ params[name]["kernel"] + params[name]["bias"]

  y = conv(x, "conv1x1", 0)
  y = torch.relu(
    conv(y, "conv3x3", 1)
    + conv(y, "conv1x3", (0, 1))
    + conv(y, "conv3x1", (1, 0))
  )
  v = (x * y.sum(1, keepdim=True)).mean((2, 3))
  y = torch.relu(bn(dense(v, "squeeze"), "squeeze_bn"))
  return v * torch.sigmoid(dense(y, "excite"))


def reference(params, stats, images, labels, train):
  """Returns (logits, affinity loss, partition loss) in float64."""
  x = torch_networks.mobilenet(params["trunk"], stats["trunk"], images, train)
  heads = torch.stack(
    [head(params[f"head{i}"], stats[f"head{i}"], x, train) for i in range(4)], 1
  ).log_softmax(1)
  last = params["classifier"]
  logits = heads.sum(1) @ last["kernel"] + last["bias"]
  logits = torch_networks.batch_norm(
    logits, params["logits_bn"], stats["logits_bn"], train
  )
  centers = params["centers"]
  distances = (x.mean((2, 3)) - centers[labels]).square().sum(1)
  affinity = distances.clamp(1e-12, 1e12).mean() / centers.var(0).sum()
  variance = heads.var(1).mean()
  partition = torch.log(1 + 4 / (variance + torch.finfo(torch.float64).eps))
  return logits, affinity, partition


def draw(config):
  """Returns variables whose heads differ, by numbers that are not large."""
  variables = small_step.draw_variables(config)
  for i in range(4):
    part = variables["params"][f"head{i}"]
    part["excite"]["kernel"] *= 20
    for name in ("conv3x3_bn", "conv1x3_bn", "conv3x1_bn"):
      part[name]["scale"] *= 0.05
  return variables


def tensors(variables):
  return (
    torch_networks.tensors(variables[kind])
    for kind in ("params", "batch_stats")
  )


def images_of(examples):
  prepared = augment_lib.prepare(jnp.asarray(examples.images), image_size=24)
  x = np.asarray(prepared, np.float64).repeat(3, axis=-1)
  return torch.tensor(x).movedim(3, 1)


@pytest.mark.long
@pytest.mark.slow
def test_all_terms_and_gradients_are_the_references(config, faces):
  variables = draw(config)
  params, stats = tensors(variables)
  labels = torch.tensor(faces.labels).long()
  logits, affinity, partition = reference(
    params, stats, images_of(faces), labels, True
  )
  own = torch.nn.functional.cross_entropy(logits, labels)
  metrics, found, _ = one_step.take(config, faces, variables)
  terms = {name: float(value) / 6 for name, value in metrics.terms.items()}
  assert terms["affinity"] == pytest.approx(affinity.item(), rel=1e-6)
  assert terms["partition"] == pytest.approx(partition.item(), rel=1e-6)
  loss = own + affinity + partition
  assert float(metrics.loss_sum) / 6 == pytest.approx(loss.item(), rel=1e-6)
  expected = torch_networks.gradients(loss, params)
  small_step.compare_gradients(found, expected)
  assert np.abs(found["centers",][4]).max() > 1e-6  # By the variance alone.


def test_logits_are_the_references(config, faces):
  variables = draw(config)
  params, stats = tensors(variables)
  labels = torch.tensor(faces.labels).long()
  with torch.no_grad():
    expected, _, _ = reference(params, stats, images_of(faces), labels, False)
  method = methods.build(config, 3)
  images = augment_lib.prepare(jnp.asarray(faces.images), image_size=24)
  outputs = jax.jit(method.network.apply)(method.fold(variables), images)
  assert outputs.keys() == {"logits"}
  gap = np.abs(np.asarray(outputs["logits"]) - expected.numpy()).max()
  assert gap <= 1e-5 * np.abs(expected.numpy()).max()


def test_heads_that_agree_cost_most_and_the_distance_is_clamped():
  agreeing, apart = (float(dan.partition(jnp.float32(v))) for v in (0.0, 4.0))
  assert agreeing == pytest.approx(np.log(4 / np.finfo(float).eps), rel=1e-5)
  assert apart == pytest.approx(np.log(2))
  centers = jnp.array([[0.0, 0.0], [2.0, 0.0]])  # The variance is 2.
  features = jnp.array([[3.0, 4.0], [2.0, 0.0], [1e7, 0.0]])
  found = dan.affinity(features, centers, jnp.array([0, 1, 0]))
  np.testing.assert_allclose(found, [12.5, 0.5e-12, 0.5e12], rtol=1e-6)


def test_the_published_network_has_the_published_size(config):
  config.model.trunk = "resnet18"
  config.model.cut = "conv_dw_9_relu"
  config.model.head_features = 256
  config.model.centers = 8
  params = methods.build(config, 7).shapes["params"]
  count = sum(x.size for x in jax.tree.leaves(params))
  assert params["centers"].shape == (8, 512)
  assert count - 8 * 512 == 19_723_733


def test_fewer_centers_than_classes_are_refused(config):
  config.model.centers = 2
  with pytest.raises(UserError, match="centers is 2, but there are 3 classes"):
    methods.build(config, 3)
