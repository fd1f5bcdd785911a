import itertools

import numpy as np
import pytest

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import in_memory, pipeline, sampling


@pytest.fixture(params=[pipeline, in_memory], ids=["tf.data", "in_memory"])
def batches_of(request):
  # Each image holds its own number, so that batches tell what they hold.
  def make(num_batches, *, seed=0, first_step=0, targets=None, **hosts):
    images = np.arange(11, dtype=np.uint8).reshape(11, 1, 1, 1)
    examples = examples_lib.Examples(
      images,
      np.arange(11) % 3,
      np.arange(11).astype(str),
      ("a", "b", "c"),
      targets,
    )
    batches = request.param.train_batches(
      examples, batch_size=4, seed=seed, first_step=first_step, **hosts
    )
    return list(itertools.islice(batches, num_batches))

  return make


def rows(batches):
  return [
    np.where(b["mask"], b["image"].ravel().astype(int), -1).tolist()
    for b in batches
  ]


def test_every_epoch_visits_each_example_once(batches_of):
  batches = rows(batches_of(6))
  for epoch in (batches[:3], batches[3:]):
    assert sorted(itertools.chain(*epoch)) == [-1, *range(11)]
  assert batches[:3] != batches[3:]


def test_labels_stay_with_their_images(batches_of):
  for batch in batches_of(3):
    np.testing.assert_array_equal(batch["label"], batch["image"].ravel() % 3)
    assert batch["label"].dtype == np.int32
    assert batch["image"].dtype == np.uint8


def test_targets_stay_with_their_images(batches_of):
  shares = np.arange(33, dtype=np.float32).reshape(11, 3)
  for batch in batches_of(3, targets=shares):
    np.testing.assert_array_equal(
      batch["targets"], shares[batch["image"].ravel()]
    )
  assert "targets" not in batches_of(1)[0]


@pytest.mark.parametrize("first_step", [1, 2, 3, 4, 8])
def test_a_later_start_sees_the_same_batches(batches_of, first_step):
  whole = rows(batches_of(10))
  assert (
    rows(batches_of(2, first_step=first_step))
    == (whole[first_step : first_step + 2])
  )


def test_the_seed_decides_the_order(batches_of):
  assert rows(batches_of(3)) == rows(batches_of(3))
  assert rows(batches_of(3)) != rows(batches_of(3, seed=1))


def test_hosts_share_the_batches_of_one_host(batches_of):
  whole = rows(batches_of(4))
  shares = [rows(batches_of(4, host=h, num_hosts=2)) for h in (0, 1)]
  assert [a + b for a, b in zip(*shares, strict=True)] == whole


def test_the_order_is_the_one_of_the_numpy_path(batches_of):
  order = sampling.epoch_order(11, seed=0, epoch=1)
  assert list(itertools.chain(*rows(batches_of(6))[3:]))[:11] == order.tolist()


@pytest.mark.parametrize("host", [0, 1])
def test_both_ways_make_the_same_batches(make_examples, host):
  examples = make_examples(11)
  ways = [
    module.train_batches(
      examples, batch_size=4, seed=3, first_step=2, host=host, num_hosts=2
    )
    for module in (pipeline, in_memory)
  ]
  for one, other in itertools.islice(zip(*ways, strict=True), 8):
    assert one.keys() == other.keys()
    for name, array in one.items():
      assert array.dtype == other[name].dtype
      np.testing.assert_array_equal(array, other[name])
