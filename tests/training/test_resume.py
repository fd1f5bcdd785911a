"""A run goes on with the config and the data it began with."""

import dataclasses
import operator

import numpy as np
import pytest
from small_run import StoppedError, fit

from pattlite_jax import config as config_lib
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.training import resume
from pattlite_jax.training.progress import Progress


@pytest.fixture
def described(small_config, splits):
  return resume.describe(small_config, splits, {})


def again(small_config, splits, **fields):
  """What a second start with other fields says of itself."""
  config = small_config.copy_and_resolve_references()
  config.update_from_flattened_dict(fields)
  return resume.describe(config, splits, {})


def saved(described, **changes):
  progress = Progress(**changes)
  return {"config": described, "progress": progress.to_json()}


def test_the_same_config_goes_on(small_config, splits, described):
  reached = resume.progress(8, saved(described), again(small_config, splits))
  assert reached == Progress()


def test_harmless_fields_may_change_and_are_fields(
  small_config, splits, described
):
  flat = {}
  for field in resume.HARMLESS:
    value = operator.attrgetter(field)(small_config)
    other = {str: "other", int: 7, bool: True, float: 0.5}[type(value)]
    assert other != value
    flat[field] = other
  new = again(small_config, splits, **flat)
  assert new["config"] != described["config"]
  assert resume.changes(described, new) == []


def test_each_change_is_shown_as_old_and_new(small_config, splits, described):
  new = again(small_config, splits, **{"stage1.learning_rate": 0.5, "seed": 3})
  with pytest.raises(ValueError) as caught:
    resume.progress(8, saved(described), new)
  lines = str(caught.value).splitlines()
  assert small_config.workdir in lines[0] and "step 8" in lines[0]
  assert lines[1:3] == [
    "  seed: 0 -> 3",
    "  stage1.learning_rate: 0.001 -> 0.5",
  ]
  assert len(lines) == 4
  for word in ("--config.resume=force", "--config.workdir"):
    assert word in lines[3]


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("part", ["images", "labels", "ids"])
def test_changed_data_is_a_change(small_config, splits, described, part, split):
  old = splits[split]
  changed = getattr(old, part).copy()
  (other, *_) = np.flatnonzero(old.labels != old.labels[0])
  changed[0] = changed[other]
  assert not np.array_equal(changed, getattr(old, part))
  splits[split] = dataclasses.replace(old, **{part: changed})
  changes = resume.changes(described, resume.describe(small_config, splits, {}))
  assert [change["field"] for change in changes] == [f"{split} images"]


def test_other_test_images_are_no_change(small_config, splits, described):
  """They have no part in the training."""
  splits["test"] = splits["test"].take(np.arange(3))
  assert resume.changes(described, again(small_config, splits)) == []


def test_other_class_names_are_a_change(described):
  names = ["anger", "happiness", "disgust"]
  (change,) = resume.changes(described, described | {"class_names": names})
  assert change["field"] == "class_names" and change["new"] == names


def test_a_field_that_is_newer_than_the_checkpoint_had_its_default(
  small_config, splits, described
):
  field = config_lib.get_config().model.patch_stride
  del described["config"]["model"]["patch_stride"]
  new = again(small_config, splits)
  assert resume.changes(described, new) == []
  new["config"]["model"]["patch_stride"] = field + 1
  assert [c["old"] for c in resume.changes(described, new)] == [field]


@pytest.mark.parametrize(
  ("digest", "goes_on"),
  [
    ("18x16x16x1, sha256 0123456789abcdef", True),
    ("17x16x16x1, sha256 0123456789abcdef", False),
    ("18x16x16x1, sha256 of each 0123456789abcdef", False),
  ],
)
def test_of_a_former_digest_the_shape_has_to_do(
  small_config, splits, described, digest, goes_on
):
  former = described | {"data": described["data"] | {"train images": digest}}
  changes = resume.changes(former, again(small_config, splits))
  assert (changes == []) == goes_on


def test_force_records_the_changes(small_config, splits, described):
  fields = {"stage1.patience": 9, "resume": "force"}
  new = again(small_config, splits, **fields)
  reached = resume.progress(8, saved(described), new)
  change = {"step": 8, "field": "stage1.patience", "old": 5, "new": 9}
  assert reached.config_changes == (change,)
  entered = Progress.from_json(reached.to_json()).enter(1)
  assert entered.config_changes == (change,)


def test_progress_of_an_older_version_keeps_what_plateaus_made_of_the_rate(
  small_config, splits, described
):
  """It held the learning rate itself, in place of the plateau's factor."""
  items = saved(described)
  items["progress"]["learning_rate"] = 1e-4
  del items["progress"]["plateau"]["factor"]
  reached = resume.progress(8, items, again(small_config, splits))
  assert reached.plateau.factor == pytest.approx(0.1, rel=1e-12)


def test_force_cannot_change_what_an_epoch_is(small_config, splits, described):
  new = again(small_config, splits, **{"batch_size": 9, "resume": "force"})
  with pytest.raises(ValueError, match=r"5 steps an epoch.*2,.*resume=force"):
    resume.progress(8, saved(described), new)


@pytest.mark.slow
def test_a_run_refuses_a_changed_config_unless_forced(quick_config, splits):
  quick_config.checkpoint_every_steps = 2
  with pytest.raises(StoppedError):
    fit(quick_config, splits, stop_at=8)
  quick_config.stage1.patience = 9
  with pytest.raises(ValueError, match=r"stage1\.patience: 5 -> 9"):
    fit(quick_config, splits)
  quick_config.resume = "force"
  result, writer = fit(quick_config, splits)
  assert min(step for step, _ in writer.scalars) > 6
  assert [c["field"] for c in result["config_changes"]] == ["stage1.patience"]
  quick_config.resume = "same"  # The checkpoints now hold the new config.
  assert fit(quick_config, splits)[0] == result


@pytest.mark.slow
def test_force_cannot_change_the_network(quick_config, splits):
  quick_config.checkpoint_every_steps = 2
  with pytest.raises(StoppedError):
    fit(quick_config, splits, stop_at=4)
  quick_config.resume = "force"
  quick_config.model.cut = "conv_pw_2_relu"
  with pytest.raises(ValueError, match="arrays are not those of the config"):
    fit(quick_config, splits)


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
@pytest.mark.parametrize(
  ("field", "value"),
  [
    ("optimizer", "adamw"),
    ("ema_decay", 0.9),
    ("schedule", "cosine"),
    ("trunk", "all"),
  ],
)
def test_force_cannot_change_the_arrays_of_the_state(
  small_config, splits, described, stage, field, value
):
  fields = {f"{stage}.{field}": value, "resume": "force"}
  new = again(small_config, splits, **fields)
  with pytest.raises(ValueError, match=rf"{stage}\.{field}.*cannot change"):
    resume.progress(8, saved(described), new)


@pytest.mark.parametrize("old, new, goes_on", [(0.9, 0.5, 1), (0.9, 0.0, 0)])
def test_force_may_change_an_average_but_not_drop_it(
  small_config, splits, old, new, goes_on
):
  fields = {"resume": "force", "stage1.ema_decay": old}
  before = again(small_config, splits, **fields)
  after = again(small_config, splits, **fields | {"stage1.ema_decay": new})
  # As they come back from JSON: equal numbers that are not the same object.
  before["steps_per_epoch"], after["steps_per_epoch"] = int("1000"), int("1000")
  if goes_on:
    reached = resume.progress(8, saved(before), after)
    assert [c["new"] for c in reached.config_changes] == [new]
  else:
    with pytest.raises(ValueError, match=r"ema_decay 0.9 -> 0.0 makes another"):
      resume.progress(8, saved(before), after)


@pytest.mark.parametrize(
  ("optimizer", "goes_on"), [("adamw", True), ("adam", False), ("sgd", False)]
)
def test_force_may_begin_a_decay_of_weights_where_it_adds_no_state(
  small_config, splits, optimizer, goes_on
):
  fields = {"resume": "force", "stage1.optimizer": optimizer}
  before = again(small_config, splits, **fields)
  after = again(small_config, splits, **fields | {"stage1.weight_decay": 0.1})
  if goes_on:
    assert resume.progress(8, saved(before), after).config_changes
  else:
    with pytest.raises(ValueError, match=r"weight_decay 0.0 -> 0.1 makes anot"):
      resume.progress(8, saved(before), after)


@pytest.mark.parametrize(
  "broken",
  [{"stage": 7}, {"stage": "x"}, {"plateau": 3}, {"stopping": {"a": 1}}, None],
)
def test_progress_that_no_run_saves_is_named(
  small_config, splits, described, broken
):
  """As in a stranger's checkpoint, whose digests are right."""
  items = saved(described)
  items["progress"] = broken and items["progress"] | broken
  with pytest.raises(UserError, match="holds step 8 with a progress") as error:
    resume.progress(8, items, again(small_config, splits))
  assert "\n" not in str(error.value)
  assert small_config.workdir in str(error.value)
