import importlib
import itertools
import pathlib
import re

import pytest

from configs import default
from pattlite_jax.training import config_check

FOLDER = pathlib.Path(default.__file__).parent
NAMES = sorted(p.stem for p in FOLDER.glob("*.py") if p.stem != "__init__")


@pytest.fixture(params=NAMES)
def config(request):
  return importlib.import_module(f"configs.{request.param}").get_config()


def test_no_config_adds_or_loses_a_field(config):
  def names(tree):
    return {
      key: names(value) if isinstance(value, dict) else None
      for key, value in tree.items()
    }

  assert names(config.to_dict()) == names(default.get_config().to_dict())
  assert config.is_locked


def test_a_misspelt_field_suggests_the_right_one(config):
  with pytest.raises(AttributeError, match="learning_rate"):
    config.stage1.lerning_rate = 1.0


def test_values_are_ones_that_the_code_knows(config):
  config_check.check(config)


@pytest.mark.parametrize(
  ("field", "value"),
  [
    ("model.attention", "patch"),
    ("model.cut", "conv_dw_90"),
    ("stage2.trunk", "half"),
    ("stage1.monitor", "val_acc"),
    ("stage1.optimizer", "sgd"),
    ("stage2.schedule", "linear"),
    ("eval.order", "sorted"),
  ],
)
def test_an_unknown_word_is_refused_before_a_run(field, value):
  config = default.get_config()
  config.update_from_flattened_dict({field: value})
  with pytest.raises(ValueError, match=rf"config.{field} is '{value}'.*one of"):
    config_check.check(config)


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"stage1.weight_decay": 0.1}, "optimizer=adamw, which is 'adam'"),
    ({"stage1.warmup_epochs": 1.0}, "schedule=cosine, which is 'by_epoch'"),
    ({"stage2.schedule": "cosine"}, "decay_epochs is 80.0"),
    ({"stage1.schedule": "cosine"}, "plateau_patience is 3"),
    (
      {"start_from": "ferplus", "model.trunk_weights": "f.safetensors"},
      "trunk_weights is 'f.safetensors', but has no effect",
    ),
  ],
)
def test_fields_that_would_do_nothing_are_refused(fields, message):
  config = default.get_config()
  config.update_from_flattened_dict(fields)
  with pytest.raises(ValueError, match=message):
    config_check.check(config)


@pytest.mark.parametrize(
  ("field", "value"),
  [
    ("stage1.ema_decay", -0.1),
    ("stage2.label_smoothing", 3.0),
    ("augment.random_zoom", 1.5),
    ("augment.erasing_min_area", 0.9),
  ],
)
def test_numbers_without_a_meaning_are_refused(field, value):
  config = default.get_config()
  config.update_from_flattened_dict({field: value})
  with pytest.raises(ValueError, match=rf"config.{field} is {value}, but must"):
    config_check.check(config)


def test_a_short_run_must_leave_the_rate_time_to_fall():
  config = importlib.import_module("configs.fer2013_best").get_config()
  config.stage1.epochs = 1
  with pytest.raises(ValueError, match=r"stage1.warmup_epochs is 1.0.*less"):
    config_check.check(config)


def test_the_recipe_is_the_published_one():
  config = default.get_config()
  assert (config.batch_size, config.global_clipnorm) == (8, 3.0)
  one, two = config.stage1, config.stage2
  assert (one.epochs, one.learning_rate, one.patience) == (100, 1e-3, 5)
  assert (one.plateau_patience, one.plateau_factor) == (3, 0.1)
  assert (one.min_learning_rate, one.min_delta) == (1e-6, 0.003)
  assert (one.pooled_dropout, one.spatial_dropout) == (0.1, 0.0)
  assert (one.class_weights, two.class_weights) == (True, False)
  assert (one.monitor, two.monitor) == ("val_accuracy", "train_accuracy")
  assert (two.epochs, two.learning_rate, two.patience) == (500, 1e-5, 20)
  assert (two.decay_epochs, two.min_delta) == (80.0, 0.003)
  rates = (two.spatial_dropout, two.pooled_dropout, two.attended_dropout)
  assert rates == (0.2, 0.2, 0.2)
  assert two.trunk == "frozen"
  for stage in (one, two):
    assert (stage.optimizer, stage.schedule) == ("adam", "by_epoch")


def test_every_field_of_the_default_says_what_it_is():
  """A field's reason stands behind it, or in the comment above it."""
  lines = (FOLDER / "default.py").read_text().splitlines()
  bare = []
  for above, line in itertools.pairwise(lines):
    field = re.match(r"  (config|stage)\.([\w.]+) = [^m_]", line)
    explained = "#" in line or above.strip().startswith("#")
    of_a_stage = line.startswith("  config.stage")  # Explained in _stage.
    if field and not explained and not of_a_stage:
      bare.append(field.group(2))
  assert not bare


@pytest.mark.parametrize("name", [n for n in NAMES if n != "default"])
def test_each_config_gives_its_command(name):
  text = (FOLDER / f"{name}.py").read_text()
  assert f"python -m pattlite_jax.main --config configs/{name}.py" in text
