"""Teachers' shares in the targets, and runs that learn from them."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest
from small_run import StoppedError, fit

from pattlite_jax.trained import Trained
from pattlite_jax.training import distillation, setup
from pattlite_jax.training import step as step_lib


@pytest.fixture
def teacher(small_config):
  names = ("happiness", "anger", "disgust")  # Not the order of the examples.
  variables = jax.device_get(setup.init_variables(small_config, 3))
  # A fresh head says the same of all images.
  head = variables["params"]["attention_classifier"]["classifier"]
  head["kernel"] = np.random.default_rng(0).normal(size=head["kernel"].shape)
  head["kernel"] = head["kernel"].astype(np.float32)
  return Trained(variables, small_config, names)


def seen(teacher, images):
  logits = np.mean(
    [teacher.logits(images), teacher.logits(images[:, :, ::-1])], axis=0
  )
  return np.asarray(jax.nn.softmax(logits))


def test_targets_are_shares_of_label_and_teachers(teacher, splits):
  train = splits["train"]
  other = dataclasses.replace(
    teacher,
    variables=jax.tree.map(lambda x: 0.9 * x, teacher.variables),
    class_names=train.class_names,
  )
  taught = distillation.teach(train, {"a": teacher, "b": other}, share=0.25)
  # The teacher's columns are happiness, anger, disgust.
  views = seen(teacher, train.images)[:, [1, 2, 0]], seen(other, train.images)
  assert np.ptp(views[0], axis=0).min() > 1e-3  # It tells images apart.
  np.testing.assert_allclose(
    taught.targets,
    0.75 * np.eye(3)[train.labels] + 0.25 * (views[0] + views[1]) / 2,
    atol=1e-6,
  )
  np.testing.assert_array_equal(taught.labels, train.labels)


def test_targets_of_votes_keep_their_share(teacher, splits):
  votes = np.full((18, 3), [0.5, 0.3, 0.2], np.float32)
  train = dataclasses.replace(splits["train"], targets=votes)
  taught = distillation.teach(train, {"a": teacher}, share=0.6)
  expected = 0.4 * votes + 0.6 * seen(teacher, train.images)[:, [1, 2, 0]]
  np.testing.assert_allclose(taught.targets, expected, atol=1e-6)


def test_without_teachers_the_examples_are_what_they_were(splits, small_config):
  teachers = distillation.load_teachers(small_config.distillation.teachers)
  assert teachers == {}
  taught = distillation.teach(splits["train"], teachers, share=0.7)
  assert taught is splits["train"]


def test_other_classes_are_refused(teacher, splits):
  stranger = dataclasses.replace(teacher, class_names=("anger", "fear", "joy"))
  with pytest.raises(ValueError, match=r"teachers names b.*fear.*disgust"):
    distillation.teach(
      splits["train"], {"a": teacher, "b": stranger}, share=0.7
    )


@pytest.mark.slow
def test_a_run_is_a_teacher_and_belongs_to_what_it_taught(
  small_config, splits, tmp_path, monkeypatch
):
  fit(small_config, splits)
  student = small_config.copy_and_resolve_references()
  student.workdir = str(tmp_path / "student")
  student.distillation.teachers = small_config.workdir
  with pytest.raises(StoppedError):
    fit(student, splits, stop_at=8)

  # The steps' batches have the teacher's part in their targets.
  batches = []
  step = step_lib.train_step

  def kept(state, batch, *args, **kwargs):
    batches.append("targets" in batch)
    return step(state, batch, *args, **kwargs)

  monkeypatch.setattr(step_lib, "train_step", kept)
  result, _ = fit(student, splits)
  assert batches and all(batches)
  (origin,) = result["taught_by"].values()
  assert origin["dataset"] == "synthetic_faces" and origin["ancestors"] == []

  shutil.rmtree(small_config.workdir)
  small_config.seed = 1
  fit(small_config, splits)  # Another teacher of the same name.
  with pytest.raises(
    ValueError, match=r"taught_by .*run: synthetic_faces, sha256 \w+ -> "
  ):
    fit(student, splits)
