"""Every method keeps the four rules of `pattlite_jax.method`."""

import dataclasses

import jax
import numpy as np
import optax
import pytest
from flax import traverse_util

from pattlite_jax import methods
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.method import CLASSIFIER, TRUNK
from pattlite_jax.models import trunks
from pattlite_jax.runtime import parallel
from pattlite_jax.scoring import logits as logits_lib
from pattlite_jax.training import dispatch, setup
from pattlite_jax.weights import trunk

# Each method, with the fields that change what it does to a batch.
VARIANTS = [
  ("baseline", {}),
  ("pattlite", {"attention": "batch"}),
  ("pattlite", {"attention": "token"}),
  ("pattlite", {"attention": "none", "patch_batch_norm": True}),
  ("arm", {"sharing": "batch"}),
  ("arm", {"sharing": "constant"}),
  ("dan", {"head_features": 8}),
  ("eac", {}),
  ("apvit", {}),
  ("cbam_rul", {}),
  ("ldam_focal", {}),
  ("label_correction", {}),
]


def test_every_method_is_tried_here():
  assert {name for name, _ in VARIANTS} == methods.METHODS.keys()


@pytest.fixture(
  params=VARIANTS, ids=lambda v: "-".join(map(str, [v[0], *v[1].values()]))
)
def config(request, small_config):
  small_config.method, fields = request.param
  for field, value in fields.items():
    small_config.model[field] = value
  small_config.batch_size = 8
  small_config.stage1.trunk = "all"
  small_config.stage1.trunk_statistics = "batch"
  small_config.augment.random_erasing = 0.5
  small_config.model.depth, small_config.model.width = 2, 16
  small_config.model.heads = 2
  small_config.model.embedding_size = 8
  return small_config


def test_what_is_learned_is_a_parameter_by_the_common_names(config):
  shapes = methods.build(config, 3).shapes
  assert shapes.keys() <= {"params", "batch_stats"}
  params = traverse_util.flatten_dict(shapes["params"])
  last = {
    path: leaf for path, leaf in params.items() if CLASSIFIER in path[:-1]
  }
  # One layer; one of cosines has no bias.
  assert {path[-1] for path in last} - {"bias"} == {"kernel"}
  assert len({path[:-1] for path in last}) == 1
  assert all(leaf.shape[-1] == 3 for leaf in last.values())
  # ImageNet's file fills the whole of what is named so.
  wanted = {kind: tree[TRUNK] for kind, tree in shapes.items() if TRUNK in tree}
  found = trunk.select_layers(trunk.load_mobilenet_trunk(), wanted)
  assert jax.tree.structure(found) == jax.tree.structure(wanted)
  convolutions = [path[1] for path in params if path[0] == TRUNK]
  norms = {name for name in convolutions if name.endswith("_bn")}
  assert norms and {n.removesuffix("_bn") for n in norms} < set(convolutions)


def test_shapes_are_traced_once_and_are_the_callers_own(
  small_config, monkeypatch
):
  draw, calls = trunks._Init.__call__, []

  def counted(self, key):
    calls.append(self)
    return draw(self, key)

  monkeypatch.setattr(trunks._Init, "__call__", counted)
  small_config.model.image_size = 27  # Of no other test.
  first = methods.build(small_config, 3).shapes
  first["params"].clear()
  again = methods.build(small_config, 3).shapes
  assert len(calls) == 1 and again["params"]
  other = methods.build(small_config, 4).shapes
  assert len(calls) == 2
  assert jax.tree.leaves(other) != jax.tree.leaves(again)


def test_alone_is_the_network_on_a_batch_of_one(config, make_examples):
  examples = make_examples(6)
  method = methods.build(config, 3)
  variables = setup.init_variables(config, 3)
  alone, network = (
    logits_lib.Predictor(method, module)
    for module in (method.alone, method.network)
  )
  one_by_one = network(variables, examples, batch_size=1)
  scale = max(1.0, np.abs(one_by_one).max())  # Some logits are large.
  np.testing.assert_allclose(
    alone(variables, examples, batch_size=6), one_by_one, atol=1e-5 * scale
  )
  together = network(variables, examples, batch_size=6)
  differs = np.abs(together - one_by_one).max() > 1e-4 * scale
  assert differs == method.mixes_batch


def step_taker(config, examples):
  """Returns (rows, -1 padding, image of padding) -> state and metrics.

  After one step of plain gradient descent, which compiles in half the time.
  """
  examples = examples_lib.numbered(examples)
  stage = setup.stage(config, "stage1", examples)
  stage = dataclasses.replace(stage, tx=optax.sgd(0.1))
  variables = setup.init_variables(config, 3)
  take_steps = dispatch.mapped(stage.step)

  def take_step(rows, image_of_padding):
    batch = examples_lib.gather(examples, np.asarray(rows))
    batch["image"] = np.where(
      batch["mask"][:, None, None, None], batch["image"], image_of_padding
    ).astype(np.uint8)
    stacks = dispatch.stacks(
      iter([batch, batch, batch]),
      first_step=0,
      steps_per_epoch=3,
      steps_per_dispatch=1,
    )
    state = parallel.replicate(stage.start(variables))
    return take_steps(state, next(stacks)[1], jax.random.key(0))

  return take_step


@pytest.mark.slow
def test_padded_rows_never_count(config, make_examples):
  take_step = step_taker(config, make_examples(8))
  rows = [0, 1, 2, 3, 4, -1, -1, -1]
  black, sums = take_step(rows, 0)
  white, others = take_step(rows, 255)
  for mine, other in zip(
    jax.tree.leaves((black.params, black.batch_stats, black.labels, sums)),
    jax.tree.leaves((white.params, white.batch_stats, white.labels, others)),
    strict=True,
  ):
    np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)
  assert int(sums.count.squeeze()) == 5
  # The rows that are no padding do count.
  full, _ = take_step([0, 1, 2, 3, 4, 5, 6, 7], 0)
  assert any(
    np.abs(mine - other).max() > 1e-5
    for mine, other in zip(
      jax.tree.leaves(black.params), jax.tree.leaves(full.params), strict=True
    )
  )
