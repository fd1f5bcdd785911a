"""The whole loop on a small network: stages, resume, results."""

import dataclasses
import json
import pathlib
import shutil
import types

import jax
import numpy as np
import pytest
import small_run_config
from small_run import StoppedError, fit, saved_best

from pattlite_jax import trained
from pattlite_jax.scoring import pictures, protocols
from pattlite_jax.scoring.inputs import Inputs
from pattlite_jax.training import setup
from pattlite_jax.training import step as step_lib


@pytest.fixture
def config(small_config):
  small_config.checkpoint_every_steps = 2
  return small_config


@pytest.fixture(scope="module")
def ended(tmp_path_factory, make_splits, make_examples):
  """A run of both stages, with a line a step, and how often a step is traced.

  Long enough to learn. What uses it leaves it as it is.
  """
  config = small_run_config.make(tmp_path_factory.mktemp("ended") / "run")
  config.stage1.epochs = 4
  config.stage1.learning_rate = 4e-3
  config.log_every_steps = 1
  traces = []
  train_step = step_lib.train_step

  def counting(*args, **kwargs):
    traces.append(1)
    return train_step(*args, **kwargs)

  splits = make_splits() | {"train": make_examples(80)}
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(step_lib, "train_step", counting)
    result, writer = fit(config, splits, draw=pictures.draw_run)
  return types.SimpleNamespace(
    config=config, splits=splits, result=result, writer=writer, traces=traces
  )


@pytest.fixture(scope="module")
def across(tmp_path_factory, make_splits):
  """(config, splits, result) of a run whose network mixes a batch."""
  config = small_run_config.make(tmp_path_factory.mktemp("across") / "run")
  config.model.attention = "batch"
  config.stage2.epochs = 0
  splits = make_splits()
  result, _ = fit(config, splits)
  return config, splits, result


@pytest.mark.slow
def test_a_run_learns_and_reports_itself(ended):
  result, workdir = ended.result, pathlib.Path(ended.config.workdir)
  stored = json.loads((workdir / "result.json").read_text())
  assert stored == result
  assert result["splits"]["test"].keys() == {"per_sample"}
  assert result["training_images"] == {
    "sampling": "shuffle",
    "images_an_epoch": 80,
    "with_validation": False,
    "label_noise": 0.0,
    "label_file": "",
    "wrong_labels": 0,
  }
  assert "labels_in_use" not in result  # The method changes none.
  scores = result["splits"]["test"]["per_sample"]
  assert scores["num_examples"] == 10
  assert scores["accuracy"] > 0.7  # Chance is a third.
  assert result["attention"] == "token"
  assert result["epoch_chosen_by"] == "train_accuracy"
  steps = [record["step"] for record in result["history"]]
  assert steps == [20, 40, 60, 80, 100, 120]
  logged = {name for _, scalars in ended.writer.scalars for name in scalars}
  assert {"train/loss", "validation/accuracy", "learning_rate"} <= logged
  drawn = {path.name for path in (workdir / "pictures").iterdir()}
  assert drawn == {"curves.png", "confusion_test.png", "faces_test.png"}


# Steps of an epoch: 5. 3: inside the first; 5: before its end was saved; 8:
# after a save inside the second; 12: in the second stage. test_killed.py stops
# a run at more places, and always runs.
@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("stops", [(3, 12), (5, 8)])
def test_a_run_stopped_twice_ends_as_an_unbroken_one(config, splits, stops):
  config.stage2.trunk = "all_but_bn"
  unbroken, _ = fit(config, splits)
  weights = saved_best(config)
  shutil.rmtree(config.workdir)
  for step in stops:
    with pytest.raises(StoppedError):
      fit(config, splits, stop_at=step)
  resumed, _ = fit(config, splits)
  assert resumed == unbroken
  jax.tree.map(np.testing.assert_array_equal, saved_best(config), weights)


@pytest.mark.long
@pytest.mark.slow
def test_targets_are_learned_instead_of_labels(config, splits):
  """Targets that say another class train as labels of that class do."""
  config.stage1.class_weights = False
  config.stage2.epochs = 0
  right = splits["train"]
  wrong = (right.labels + 1) % 3
  targets = np.eye(3, dtype=np.float32)[wrong]
  losses = []
  for name, changes in (
    ("targets", {"targets": targets}),
    ("labels", {"labels": wrong}),
    ("right", {}),
  ):
    splits["train"] = dataclasses.replace(right, **changes)
    config.workdir = f"{config.workdir}_{name}"
    result, _ = fit(config, splits)
    losses.append(result["history"][-1]["train_loss"])
  assert losses[0] == pytest.approx(losses[1], rel=1e-4)
  assert losses[0] != pytest.approx(losses[2], rel=1e-2)


@pytest.mark.slow
def test_a_stage_compiles_its_step_once(ended):
  stages = 2
  assert len(ended.traces) == stages, ended.traces


@pytest.mark.slow
def test_the_input_stall_is_logged(ended):
  stalls = [
    s["train/input_stall_ms"]
    for _, s in ended.writer.scalars
    if "train/input_stall_ms" in s
  ]
  assert stalls and all(0 <= stall < 1000 for stall in stalls)


@pytest.mark.slow
def test_zero_logs_and_saves_at_the_ends_of_epochs_alone(config, splits):
  config.stage2.epochs = 0
  config.log_every_steps = config.checkpoint_every_steps = 0
  result, writer = fit(config, splits)
  logged = [
    (step, scalars["train/loss"])
    for step, scalars in writer.scalars
    if "train/loss" in scalars
  ]
  assert logged == [(r["step"], r["train_loss"]) for r in result["history"]]
  saved = (pathlib.Path(config.workdir) / "checkpoints").iterdir()
  assert sorted(int(path.name) for path in saved) == [5, 10]


@pytest.mark.slow
def test_a_finished_run_trains_no_more(ended):
  again, writer = fit(ended.config, ended.splits)
  assert again == ended.result
  assert writer.scalars == []


@pytest.mark.slow
def test_batch_attention_reports_both_protocols(across):
  _, _, result = across
  for scores in result["splits"].values():
    across_batch = scores["across_batch"]
    assert across_batch["order"] == "class_sorted"
    assert across_batch["batch_size"] == 32
    alone = scores["per_sample"]["loss"]
    assert across_batch["loss"] != pytest.approx(alone, rel=1e-3)


@pytest.mark.slow
def test_the_end_of_a_run_is_what_evaluate_says(across):
  config, splits, result = across
  batches = protocols.Batches("class_sorted", 32, config.seed)
  inputs = Inputs(
    trained.load(config.workdir), config.data.name, "test", splits["test"], ()
  )
  evaluated, _ = protocols.evaluate(inputs, batches)
  assert evaluated["splits"]["test"] == result["splits"]["test"]
  same = ("dataset", "rule", "attention", "seed")
  assert [evaluated[k] for k in same] == [result[k] for k in same]


def test_an_empty_test_split_is_left_out(config, splits, make_examples):
  config.stage1.epochs = config.stage2.epochs = 0
  splits["test"] = make_examples(0)
  result, _ = fit(config, splits)
  assert result["splits"].keys() == {"train", "validation"}


def test_an_empty_validation_split_is_an_error(config, splits, make_examples):
  splits["validation"] = make_examples(0)
  with pytest.raises(ValueError, match="validation"):
    fit(config, splits)


def test_a_run_that_nothing_chooses_in_needs_no_validation(
  config, splits, make_examples
):
  splits["validation"] = make_examples(0)
  for stage in (config.stage1, config.stage2):
    stage.update(monitor="last_epoch", patience=0, plateau_patience=0)
  config.stage1.epochs, config.stage2.epochs = 1, 0
  result, _ = fit(config, splits, draw=pictures.draw_run)
  assert result["splits"].keys() == {"train", "test"}
  (record,) = result["history"]
  assert not [name for name in record if name.startswith("val")]
  assert (pathlib.Path(config.workdir) / "pictures/curves.png").exists()


@pytest.mark.slow
def test_a_frozen_trunk_stays_bit_for_bit(ended):
  before = setup.init_variables(ended.config, 3)
  after = saved_best(ended.config)
  for kind in ("params", "batch_stats"):
    jax.tree.map(
      np.testing.assert_array_equal, after[kind]["trunk"], before[kind]["trunk"]
    )
  moved = after["params"]["patch_extraction"]["patch3"]["kernel"]
  start = before["params"]["patch_extraction"]["patch3"]["kernel"]
  assert np.abs(moved - start).max() > 1e-4
