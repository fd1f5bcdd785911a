import dataclasses

import numpy as np
import pytest

from pattlite_jax.data import classes
from pattlite_jax.data.source import DataSource
from pattlite_jax.runtime.errors import UserError


def test_a_subset_keeps_its_images_and_takes_the_order_of_the_text(
  make_examples,
):
  examples = make_examples(12)  # Of anger, disgust and happiness.
  chosen = classes.choose(examples, "happy, anger")
  kept = np.flatnonzero(examples.labels != 1)
  assert chosen.class_names == ("happiness", "anger")
  np.testing.assert_array_equal(chosen.images, examples.images[kept])
  assert chosen.ids.tolist() == examples.ids[kept].tolist()
  assert chosen.labels.tolist() == [
    {2: 0, 0: 1}[label] for label in examples.labels[kept]
  ]


def test_a_merge_is_one_class(make_examples):
  examples = make_examples(12)
  merged = classes.choose(examples, "negative=anger+disgust,happiness")
  assert merged.class_names == ("negative", "happiness")
  assert len(merged) == len(examples)
  assert merged.labels.tolist() == [int(k == 2) for k in examples.labels]


def test_targets_are_shares_of_what_is_left(make_examples):
  examples = make_examples(12)
  shares = np.tile(np.float32([0.5, 0.3, 0.2]), (12, 1))
  examples = dataclasses.replace(examples, targets=shares)
  merged = classes.choose(examples, "bad=anger+disgust,happiness")
  np.testing.assert_allclose(merged.targets, [[0.8, 0.2]] * 12, rtol=1e-6)
  fewer = classes.choose(examples, "anger,happiness")
  np.testing.assert_allclose(
    fewer.targets, [[5 / 7, 2 / 7]] * len(fewer), rtol=1e-6
  )


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("anger", "are one"),
    ("anger,fear", "no class 'fear'.*anger, disgust, happiness"),
    ("anger,,disgust", "cannot be read at ''"),
    ("anger+disgust,happiness", r"cannot be read at 'anger\+disgust'"),
    ("bad=,happiness", "cannot be read"),
    ("anger,angry", "'anger' twice"),
    ("bad=anger+disgust,anger", "'anger' twice"),
    ("anger,anger", "'anger' twice"),
    ("happy=anger,happiness", "the same one"),
  ],
)
def test_other_texts_are_refused(make_examples, text, message):
  with pytest.raises(UserError, match=message) as error:
    classes.choose(make_examples(12), text)
  assert "\n" not in str(error.value)


def test_a_source_chooses_in_every_split(make_examples, tmp_path):
  from pattlite_jax.data import packed

  path = tmp_path / "a.npz"
  splits = {"train": make_examples(12), "test": make_examples(9, seed=1)}
  packed.write(path, "fer2013", splits)
  source = DataSource("fer2013", "", "", 224, str(path), classes="sad,anger")
  with pytest.raises(UserError, match="no class 'sad'"):
    source.load()
  source = dataclasses.replace(source, classes="happiness,anger")
  loaded = source.load()
  for split, examples in splits.items():
    assert loaded[split].class_names == ("happiness", "anger")
    assert len(loaded[split]) == (examples.labels != 1).sum() < len(examples)
