"""The labels in use: what a batch finds, and what is said of them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from pattlite_jax.runtime import parallel
from pattlite_jax.training import labels as labels_lib


def corrected(labels, rows, found, mask):
  one = [jnp.asarray(x)[None] for x in (rows, found, np.array(mask, bool))]
  mapped = jax.pmap(
    labels_lib.corrected,
    axis_name=parallel.AXIS,
    in_axes=(None, 0, 0, 0),
    devices=jax.local_devices()[:1],
  )
  return mapped(jnp.asarray(labels), *one)[0].tolist()


def test_padding_changes_nothing_and_of_two_finds_the_last_counts():
  found = corrected(
    [0, 0, 0, 0], [3, 1, 3, 0, 1, 1], [1, 1, 2, 1, 2, 9], [1, 1, 1, 0, 1, 0]
  )
  assert found == [0, 2, 0, 2]


def test_what_was_corrected_is_listed_by_id_and_class(make_examples):
  own = make_examples(6)
  noisy = own.labels.copy()
  noisy[2] = (noisy[2] + 1) % 3
  train = dataclasses.replace(own, labels=noisy)
  now = noisy.copy()
  now[2] = own.labels[2]  # Back to the data set's.
  now[4] = (now[4] + 1) % 3
  said = labels_lib.describe(now, train, own)
  assert said["corrected"] == 2 and said["to_the_data_sets_own"] == 1
  names = own.class_names
  assert said["images"] == [
    {"id": "0-2", "from": names[noisy[2]], "to": names[own.labels[2]]},
    {"id": "0-4", "from": names[noisy[4]], "to": names[now[4]]},
  ]
