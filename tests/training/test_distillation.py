"""Teachers' shares in the targets, and runs that learn from them."""

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_run_config
from small_run import StoppedError, fit, saved_best

from pattlite_jax.data import augment
from pattlite_jax.models import losses
from pattlite_jax.trained import Trained
from pattlite_jax.training import distillation, same_view, setup
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


def test_no_names_are_no_teachers():
  assert distillation.load_teachers("") == {}


@pytest.mark.slow
def test_teachers_are_asked_on_the_students_view(teacher, splits):
  """Of other sizes and class orders, each as it predicts the view alone."""
  train = splits["train"]
  config = teacher.config.copy_and_resolve_references()
  config.model.image_size = 20
  other = dataclasses.replace(
    teacher, config=config, class_names=train.class_names
  )
  teachers = same_view.make(
    {"a": teacher, "b": other}, train.class_names, temperature=2.0
  )
  view = augment.prepare(jnp.asarray(train.images[:4]), image_size=24)
  mirrored = view[:, :, ::-1]
  mask = jnp.array([True, True, True, False])
  variables = jax.tree.map(jnp.asarray, teachers.variables)
  found = teachers.ask(variables, (view, mirrored), mask)

  def probabilities(network, columns):
    size = network.config.model.image_size
    variables = jax.tree.map(jnp.asarray, network.variables)
    variables = network.method.fold(variables)
    seen = augment.resize(view, size)
    logits = network.method.alone.apply(variables, seen, mask)["logits"]
    return jax.nn.softmax(logits[:, columns] / 2, axis=-1)

  expected = (
    probabilities(teacher, np.array([1, 2, 0]))
    + probabilities(other, np.array([0, 1, 2]))
  ) / 2
  np.testing.assert_allclose(found, expected, rtol=1e-6)
  assert np.ptp(found, axis=0).min() > 1e-3  # They tell the views apart.


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_loss_has_the_teachers_share(share):
  rng = np.random.default_rng(0)
  logits = rng.normal(size=(5, 3))
  taught = rng.dirichlet(np.ones(3), 5)
  own = rng.uniform(size=5)
  found = losses.distilled(
    jnp.asarray(own),
    jnp.asarray(logits),
    jnp.asarray(taught),
    share=share,
    temperature=2.0,
  )
  log_probabilities = logits / 2 - np.log(np.exp(logits / 2).sum(1))[:, None]
  expected = (1 - share) * own - share * 4 * (taught * log_probabilities).sum(1)
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_other_classes_are_refused(teacher, splits):
  stranger = dataclasses.replace(teacher, class_names=("anger", "fear", "joy"))
  with pytest.raises(ValueError, match=r"teachers names b.*fear.*disgust"):
    distillation.teach(
      splits["train"], {"a": teacher, "b": stranger}, share=0.7
    )


@pytest.fixture(scope="module")
def teaching(tmp_path_factory, make_splits):
  """(config, result) of a run that others learn from, and leave as it is."""
  config = small_run_config.make(tmp_path_factory.mktemp("teaching") / "run")
  config.stage2.epochs = 0
  result, _ = fit(config, make_splits())
  return config, result


@pytest.mark.slow
def test_a_run_belongs_to_what_it_learns_from(
  quick_config, splits, tmp_path, teaching, monkeypatch
):
  shutil.copytree(teaching[0].workdir, quick_config.workdir)
  student = quick_config.copy_and_resolve_references()
  student.workdir = str(tmp_path / "student")
  student.distillation.teachers = quick_config.workdir

  # The steps' batches have the teacher's part in their targets.
  batches = []
  step = step_lib.train_step

  def kept(state, batch, *args, **kwargs):
    batches.append("targets" in batch)
    return step(state, batch, *args, **kwargs)

  monkeypatch.setattr(step_lib, "train_step", kept)
  with pytest.raises(StoppedError):
    fit(student, splits, stop_at=8)
  assert batches and all(batches)

  shutil.rmtree(quick_config.workdir)
  quick_config.seed = 1
  quick_config.stage1.epochs = 1
  fit(quick_config, splits)  # Another teacher of the same name.
  with pytest.raises(
    ValueError, match=r"taught_by .*run: synthetic_faces, sha256 \w+ -> "
  ):
    fit(student, splits)


@pytest.mark.slow
def test_a_run_learns_from_teachers_of_its_views_and_goes_on_exactly(
  quick_config, splits, teaching
):
  teacher_config, untaught = teaching
  quick_config.distillation.teachers = teacher_config.workdir
  quick_config.distillation.view = "student"
  quick_config.distillation.temperature = 2.0
  quick_config.distillation.share = 1.0
  result, _ = fit(quick_config, splits)
  (origin,) = result["taught_by"].values()
  assert origin["dataset"] == "synthetic_faces" and origin["ancestors"] == []
  loss, other = (r["history"][0]["train_loss"] for r in (result, untaught))
  assert loss != pytest.approx(other, rel=1e-2)
  weights = saved_best(quick_config)
  shutil.rmtree(quick_config.workdir)
  with pytest.raises(StoppedError):
    fit(quick_config, splits, stop_at=3)
  resumed, _ = fit(quick_config, splits)
  assert resumed == result
  jax.tree.map(np.testing.assert_array_equal, saved_best(quick_config), weights)
