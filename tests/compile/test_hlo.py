"""The text of a program: what runs, how often, from which layer."""

import pathlib

import pytest

from pattlite_jax.compile import estimate, hlo

TEXT = (pathlib.Path(__file__).parent / "program.txt").read_text()


@pytest.fixture
def found():
  return hlo.operations(TEXT)


def test_what_a_fusion_is_made_of_does_not_count_again(found):
  fusions = [op for op in found if op.kind == "fusion"]
  assert [op.cycles for op in fusions] == [500, None, 70, 2740, 1000]


def test_a_loop_counts_as_often_as_it_runs(found):
  assert [op.times for op in found if op.cycles == 70] == [3]
  assert hlo.cycles(found) == 500 + 3 * 70 + 2740 + 1000


def test_of_two_branches_the_costlier_counts(found):
  assert 900 not in [op.cycles for op in found]


def test_collectives_have_their_bytes(found):
  assert estimate.collectives(found) == [
    {"kind": "all-gather", "count": 1, "bytes": 4 * 8 * 2},
    {"kind": "all-reduce", "count": 1 + 3, "bytes": 32 * 4 + 4 + 3 * 28},
  ]


def test_a_gather_within_a_fusion_is_named_as_left_out(found):
  assert estimate.without_estimate(found) == [
    {
      "kind": "gather",
      "layer": "augmentation",
      "count": 1,
      "bytes": 2 * 24 * 24 * 4,
    }
  ]


def test_the_costliest_layers_come_first(found):
  first, second, *_ = estimate.costliest(found)
  assert first == {
    "layer": "trunk/conv_dw_1_bn, gradient",
    "cycles": 2740,
    "share": 2740 / 4450,
    "operations": 1,
  }
  assert (second["layer"], second["cycles"]) == ("optimizer", 1000 + 3 * 70)


@pytest.mark.parametrize(
  "op_name, layer",
  [
    (
      "jit(_fun)/shard_map/while/body/closed_call/transpose(jvp(PAttLite))/trunk"
      "/conv_dw_1/cond/branch_0_fun/conv_general_dilated",
      "trunk/conv_dw_1, gradient",
    ),
    ("jit(on_device)/shard_map/PAttLite/trunk/jit(clip)/min", "trunk"),
    (
      "jit(_fun)/shard_map/while/body/closed_call/jvp(PAttLite)/trunk/conv1_bn"
      "/conv1_bn._statistics/conv1_bn._sum/psum",
      "trunk/conv1_bn",
    ),
    (
      "jit(_fun)/shard_map/while/body/closed_call/augmentation/vmap(jit(_uniform"
      "))/vmap()/add",
      "augmentation",
    ),
    ("jit(_fun)/shard_map/while/body/closed_call/jvp(DAN)/add", "DAN"),
    ("jit(_fun)/shard_map/psum", "psum"),
    ("", "unnamed"),
  ],
)
def test_a_path_names_its_layer(op_name, layer):
  assert hlo.layer(op_name) == layer


def test_a_text_without_a_program_is_an_error():
  with pytest.raises(ValueError, match="entry computation"):
    hlo.operations("HloModule empty")
