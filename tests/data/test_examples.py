import numpy as np
import pytest

from pattlite_jax.data import examples as examples_lib


def test_class_sorted_follows_the_alphabet_of_the_names():
  examples = examples_lib.Examples(
    np.zeros((5, 2, 2, 1), np.uint8),
    np.array([0, 1, 2, 1, 0], np.int32),
    np.array(list("abcde")),
    ("surprise", "anger", "fear"),
  )
  ordered = examples_lib.reorder(examples, "class_sorted", seed=0)
  assert ordered.ids.tolist() == ["b", "d", "c", "a", "e"]


def test_shuffled_is_seeded_and_loses_nothing(make_examples):
  examples = make_examples(20)
  first, again, other = (
    examples_lib.reorder(examples, "shuffled", seed) for seed in (0, 0, 1)
  )
  assert first.ids.tolist() == again.ids.tolist() != other.ids.tolist()
  assert sorted(first.ids) == sorted(examples.ids)


def test_the_steps_of_an_epoch_take_its_rows_in_turn(make_examples):
  examples = make_examples(5)

  def rows(step):
    found = examples_lib.batch_rows(examples, batch_size=2, seed=3, step=step)
    return found.tolist()

  for epoch in range(2):
    order = examples_lib.epoch_rows(examples, seed=3, epoch=epoch).tolist()
    taken = [rows(3 * epoch + step) for step in range(3)]
    assert taken == [order[:2], order[2:4], order[4:]]
  assert rows(0) != rows(3)


@pytest.mark.parametrize("num_hosts", [1, 2])
def test_evaluation_sees_every_example_once(make_examples, num_hosts):
  examples = make_examples(11)
  seen = []
  batches = zip(
    *(
      examples_lib.eval_batches(
        examples, 3, padded_size=4, host=host, num_hosts=num_hosts
      )
      for host in range(num_hosts)
    ),
    strict=True,
  )
  for shares in batches:
    assert {len(share["mask"]) for share in shares} == {4 // num_hosts}
    for share in shares:
      seen.extend(share["image"][share["mask"]])
  np.testing.assert_array_equal(seen, examples.images)
