"""Which images a config's data set gives, and to which split."""

import numpy as np
import pytest

from pattlite_jax import config as config_lib
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import packed, source
from pattlite_jax.runtime.errors import UserError


@pytest.fixture
def fields(make_splits, tmp_path):
  """The `data` of a config that trains on the validation images, too."""
  packed.write(tmp_path / "faces.npz", "raf_db", make_splits())
  fields = config_lib.get_config().data
  fields.update(
    name="raf_db",
    packed=str(tmp_path / "faces.npz"),
    train_on_validation=True,
  )
  return fields


def test_validation_images_join_the_training_images(fields, make_splits):
  own, splits = make_splits(), source.of_config(fields).load()
  assert len(splits["validation"]) == 0
  train = splits["train"]
  np.testing.assert_array_equal(
    train.images,
    np.concatenate([own["train"].images, own["validation"].images]),
  )
  assert train.ids.tolist() == [
    *own["train"].ids.tolist(),
    *own["validation"].ids.tolist(),
  ]
  assert examples_lib.fingerprint(splits["test"]) == examples_lib.fingerprint(
    own["test"]
  )


def test_a_score_of_the_same_set_knows_what_was_trained_on(fields):
  choice = source.DataChoice()
  assert len(choice.source(fields).load()["validation"]) == 0


def test_a_score_of_another_set_has_its_own_validation(fields, make_splits):
  choice = source.DataChoice(name="sfew", dir="elsewhere")
  assert not choice.source(fields).train_on_validation


@pytest.mark.parametrize(
  "changed",
  [
    {"monitor": "val_accuracy"},
    {"monitor": "last_epoch", "plateau_patience": 3},
  ],
)
def test_nothing_may_choose_by_images_that_are_trained_on(changed):
  config = config_lib.get_config()
  config.data.train_on_validation = True
  config.stage1.epochs = 2
  config.stage1.update(changed)
  with pytest.raises(UserError, match=r"config\.stage1\.monitor to last_epoch"):
    config_lib.check(config)
  config.stage1.update(monitor="last_epoch", plateau_patience=0)
  config_lib.check(config)
