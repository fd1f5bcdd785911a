"""Trunks with PyTorch's weights against the same networks in PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pattlite_jax import config as config_lib
from pattlite_jax.models import folding, trunks
from pattlite_jax.weights import torch_port

torch = pytest.importorskip("torch")
import torch_networks  # noqa: E402

NAMES = [
  "resnet18",
  pytest.param("resnet50", marks=pytest.mark.slow),
  pytest.param("ir50", marks=pytest.mark.slow),
]
SIZE = 40  # Odd maps follow: 5x5, 3x3, 2x2.


def build(name):
  settings = config_lib.get_config().model
  settings.trunk, settings.image_size = name, SIZE
  return trunks.build(settings, None)


@pytest.fixture(scope="module", params=NAMES)
def case(request):
  """Returns (name, module, variables, images, the network in PyTorch)."""
  network = torch_networks.make(request.param)
  module = build(request.param).plain
  images = np.random.default_rng(0).uniform(-1, 1, (5, SIZE, SIZE, 3))
  images = images.astype(np.float32)
  shapes = jax.eval_shape(module.init, jax.random.key(0), images)
  variables = torch_port.convert(
    torch_networks.arrays(network), request.param, shapes
  )
  return request.param, module, variables, images, network.double()


def expected(network, images):
  with torch.no_grad():
    found = network(torch.tensor(images, dtype=torch.float64).movedim(3, 1))
  return {name: x.movedim(1, 3).numpy() for name, x in found.items()}


def close(name, found, wanted):
  scale = np.abs(wanted).max()
  assert np.abs(found - wanted).max() <= 1e-5 * scale, name


def test_every_stage_gives_what_it_gives_in_pytorch(case):
  _, module, variables, images, network = case
  _, sown = jax.jit(lambda v, x: module.apply(v, x, mutable=["intermediates"]))(
    variables, images
  )
  wanted = expected(network.eval(), images)
  stages = sown["intermediates"]
  assert stages.keys() == {f"{name}_output" for name in wanted}
  for name, output in wanted.items():
    close(name, stages[f"{name}_output"][0], output)


def test_statistics_of_a_batch_are_those_of_pytorch_in_training(case):
  name, module, variables, images, network = case
  padded = np.concatenate([images, 9 * np.ones_like(images[:2])])

  @jax.jit
  def train(variables, images, mask):
    return module.apply(
      variables,
      images,
      mask,
      update_stats=True,
      mutable=["batch_stats", "intermediates"],
    )

  _, updated = train(variables, padded, np.arange(7) < 5)
  wanted = expected(network.train(), images)
  for stage, output in wanted.items():
    close(stage, updated["intermediates"][f"{stage}_output"][0][:5], output)
  shapes = {"batch_stats": updated["batch_stats"]}
  left = dict(torch_networks.arrays(network))
  tracked = torch_port.convert(
    {k: v for k, v in left.items() if "running" in k}, name, shapes
  )
  for layer, statistics in tracked["batch_stats"].items():
    for part, value in statistics.items():
      close(f"{layer} {part}", updated["batch_stats"][layer][part], value)
      before = variables["batch_stats"][layer][part]
      assert np.abs(value - before).max() > 1e-3


def test_a_grey_image_gives_what_three_equal_channels_give(case):
  _, module, variables, images, _ = case
  apply = jax.jit(module.apply)
  grey = images[:1, ..., :1]
  close(
    "grey",
    apply(variables, grey),
    np.asarray(apply(variables, grey.repeat(3, axis=-1))),
  )


def test_folded_batch_norm_gives_what_it_gave():
  built = build("resnet18")
  network = torch_networks.make("resnet18")
  images = np.random.default_rng(0).uniform(-1, 1, (2, SIZE, SIZE, 3))
  images = images.astype(np.float32)
  shapes = jax.eval_shape(built.plain.init, jax.random.key(0), images)
  trunk = torch_port.convert(torch_networks.arrays(network), "resnet18", shapes)
  whole = {kind: {"trunk": tree} for kind, tree in trunk.items()}
  folded = built.fold(whole)
  assert not folded["batch_stats"] and built.module.folded
  found = jax.jit(built.module.apply)(
    {"params": folded["params"]["trunk"]}, images
  )
  close("folded", found, expected(network.double().eval(), images)["layer4"])
  # With another epsilon than the trunk's it would not.
  other = folding.fold_trunk(whole, epsilon=1e-3)
  layer = "layer4_1_conv2"
  gap = jnp.abs(
    other["params"]["trunk"][layer]["kernel"]
    - folded["params"]["trunk"][layer]["kernel"]
  )
  assert gap.max() > 1e-6


@pytest.mark.parametrize(
  ("name", "count", "shape"),
  [
    ("resnet18", 11_176_512, (1, 7, 7, 512)),
    ("resnet50", 23_508_032, (1, 7, 7, 2048)),
    ("ir50", 0, (1, 28, 28, 256)),
  ],
)
def test_trunks_have_the_published_sizes(name, count, shape):
  module = build(name).plain
  output, variables = jax.eval_shape(
    lambda: module.init_with_output(
      jax.random.key(0), jnp.zeros((1, 224, 224, 3))
    )
  )
  assert output.shape == shape
  found = sum(x.size for x in jax.tree.leaves(variables["params"]))
  body = [
    p
    for k, p in torch_networks.make(name).named_parameters()
    if not k.startswith(
      ("fc.", "output_layer.", "body.21", "body.22", "body.23")
    )
  ]
  assert found == sum(p.numel() for p in body)
  assert not count or found == count
