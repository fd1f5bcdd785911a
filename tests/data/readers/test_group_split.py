import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pattlite_jax.data.readers import group_split

SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}


def counted(labels, splits):
  return collections.Counter(zip(splits, labels, strict=True))


def test_each_class_is_shared_out_alike():
  labels = [0] * 100 + [1] * 40 + [2] * 20
  groups = [f"{k}" for k in range(len(labels))]
  splits = group_split.split(groups, labels, SHARES, seed=0)
  counts = counted(labels, splits)
  for label, size in ((0, 100), (1, 40), (2, 20)):
    for split, share in SHARES.items():
      assert abs(counts[split, label] - share * size) <= 1


def test_small_classes_do_not_all_miss_the_same_split():
  labels = [k // 3 for k in range(36)]
  groups = [f"{k}" for k in range(36)]
  sizes = collections.Counter(group_split.split(groups, labels, SHARES, seed=0))
  assert abs(sizes["test"] - sizes["validation"]) <= 1


@given(
  st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 2)), max_size=60
  ),
  st.integers(0, 9),
)
def test_no_group_is_in_two_splits_and_none_is_empty(images, seed):
  groups, labels = [g for g, _ in images], [k for _, k in images]
  splits = group_split.split(groups, labels, SHARES, seed=seed)
  found = set(zip(groups, splits, strict=True))
  assert len(found) == len(set(groups))
  assert len(set(splits)) == min(3, len(set(groups)))
  backwards = group_split.split(groups[::-1], labels[::-1], SHARES, seed=seed)
  assert backwards == splits[::-1]  # The order of the files does not matter.


def test_the_split_is_the_seeds():
  labels = [k % 2 for k in range(40)]
  groups = [f"person{k}" for k in range(40)]
  of_seed = [
    group_split.split(groups, labels, SHARES, seed=s) for s in (0, 0, 1)
  ]
  assert of_seed[0] == of_seed[1] != of_seed[2]


@pytest.mark.parametrize("size", [1, 2])
def test_a_large_group_goes_where_it_is_needed(size):
  groups = ["large"] * 60 + [f"{k}" for k in range(40)]
  labels = [0] * 100
  splits = group_split.split(groups, labels, SHARES, seed=size)
  assert set(splits[:60]) == {"train"}
  assert collections.Counter(splits)["train"] == pytest.approx(70, abs=1)
