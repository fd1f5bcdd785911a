"""Evaluation as functions, and the command as a user types it."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest

from pattlite_jax import config as config_lib
from pattlite_jax import methods, trained
from pattlite_jax.data import augment, challenge_lists, challenges, packed
from pattlite_jax.data.examples import fingerprint, reorder
from pattlite_jax.data.readers import ferplus
from pattlite_jax.data.source import DataChoice
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring import inputs as inputs_lib
from pattlite_jax.scoring import protocols, text
from pattlite_jax.scoring.inputs import Inputs, describe_classes, match_classes
from pattlite_jax.scoring.network import Predictors
from pattlite_jax.trained import Trained
from pattlite_jax.training import setup
from pattlite_jax.training.progress import Progress
from pattlite_jax.weights import checkpoint

ROOT = pathlib.Path(__file__).parent.parent
CLASS_NAMES = ("anger", "disgust", "happiness")


@pytest.fixture(scope="module")
def variables():
  """Random weights whose logits differ enough to tell images apart."""
  drawn = setup.random_variables(make_config("none"), 3)
  drawn["params"]["attention_classifier"]["classifier"]["kernel"] *= 30
  drawn["params"]["attention_classifier"]["pre_classifier"]["kernel"] *= 30
  return drawn


def make_config(attention):
  config = config_lib.get_config()
  config.data.name = "synthetic_faces"
  config.model.image_size = 24
  config.model.cut = "conv_pw_1_relu"
  config.model.attention = attention
  return config


@pytest.fixture
def make_network(variables):
  def make(attention):
    return Trained(variables, make_config(attention), CLASS_NAMES)

  return make


def inputs_of(network, examples):
  return Inputs(network, "ferplus/majority", "test", examples, ())


def evaluate(inputs, *batches, flip_views=False):
  """Returns (result, the split's figures, predictions)."""
  result, predictions = protocols.evaluate(
    inputs, protocols.Batches(*batches), flip_views=flip_views
  )
  return result, result["splits"][inputs.split], predictions


def test_token_attention_depends_on_no_order_or_batch_size(
  make_network, make_examples
):
  inputs = inputs_of(make_network("token"), make_examples(11))
  found, logits = [], []
  for batches in (
    ("official", 4, 0),
    ("class_sorted", 11, 0),
    ("shuffled", 4, 5),
  ):
    result, scores, predictions = evaluate(inputs, *batches)
    assert predictions["ids"].tolist() == inputs.examples.ids.tolist()
    logits.append(predictions["logits"])
    found.append(scores["per_sample"])
    assert scores.keys() == {"per_sample"}
    assert "across" not in text.report({"checkpoint": "c"} | result)
  assert np.ptp(logits[0], axis=0).max() > 0.1  # Images do differ.
  np.testing.assert_allclose(logits[0], logits[1], atol=1e-4)
  assert found[0]["confusion_matrix"] == found[1]["confusion_matrix"]
  assert found[0]["loss"] == pytest.approx(found[1]["loss"], rel=1e-4)
  # The order alone changes not a bit.
  np.testing.assert_array_equal(logits[0], logits[2])
  assert found[0] == found[2]


def test_batch_attention_has_figures_of_each_image_and_of_its_batch(
  make_network, make_examples
):
  network, examples = make_network("batch"), make_examples(11)
  _, scores, predictions = evaluate(
    inputs_of(network, examples), "class_sorted", 4, 0
  )
  assert predictions["ids"].tolist() == examples.ids.tolist()
  ordered = reorder(examples, "class_sorted", 0)
  row_of = {name: row for row, name in enumerate(examples.ids)}
  rows = [row_of[name] for name in ordered.ids]  # Batch by batch.
  assert rows != sorted(rows)
  module = methods.build(network.config, 3).network
  plain = module.trunk.clone(folded=False)
  apply = jax.jit(module.clone(axis_name=None, trunk=plain).apply)
  images = augment.prepare(jnp.asarray(ordered.images), image_size=24)

  def in_batches_of(size):
    batches = [images[i : i + size] for i in range(0, len(images), size)]
    logits = [apply(network.variables, batch)["logits"] for batch in batches]
    return np.concatenate(logits)

  mixed, alone = in_batches_of(4), in_batches_of(1)
  np.testing.assert_allclose(
    predictions["logits_across_batch"][rows], mixed, atol=1e-4
  )
  np.testing.assert_allclose(predictions["logits"][rows], alone, atol=1e-4)
  across = scores["across_batch"]
  assert (across["order"], across["batch_size"]) == ("class_sorted", 4)
  assert across["accuracy"] == (mixed.argmax(1) == ordered.labels).mean()
  assert abs(across["loss"] - scores["per_sample"]["loss"]) > 1e-3
  assert "accuracy_interval" not in across
  changed = (mixed.argmax(1) != alone.argmax(1)).sum()
  assert across["changed_predictions"] == changed


def test_batches_of_one_are_per_sample(make_network, make_examples):
  inputs = inputs_of(make_network("batch"), make_examples(5))
  _, scores, predictions = evaluate(inputs, "official", 1, 0)
  np.testing.assert_allclose(
    predictions["logits"], predictions["logits_across_batch"], atol=1e-4
  )
  assert scores["across_batch"]["changed_predictions"] == 0


def test_flip_views_average_an_image_and_its_mirror_image(
  make_network, make_examples
):
  inputs = inputs_of(make_network("token"), make_examples(5))
  batches = ("official", 4, 0)
  _, plain, before = evaluate(inputs, *batches)
  result, scores, predictions = evaluate(inputs, *batches, flip_views=True)
  np.testing.assert_array_equal(predictions["logits"], before["logits"])
  assert scores["per_sample"] == plain["per_sample"]
  assert "flip_views" not in plain
  mirrored = dataclasses.replace(
    inputs.examples, images=inputs.examples.images[:, :, ::-1].copy()
  )
  mirrored_inputs = dataclasses.replace(inputs, examples=mirrored)
  _, _, of_mirrored = evaluate(mirrored_inputs, *batches)
  views = (before["logits"] + of_mirrored["logits"]) / 2
  assert np.abs(views - before["logits"]).max() > 1e-4
  np.testing.assert_allclose(predictions["logits_flip_views"], views, atol=1e-5)
  assert scores["flip_views"]["loss"] != plain["per_sample"]["loss"]
  report = text.report({"checkpoint": "c"} | result)
  (correct,) = [x for x in report.splitlines() if x.startswith("correct")]
  single = f"{100 * plain['per_sample']['accuracy']:.2f}"
  assert correct.split()[3] == single
  assert max(map(len, report.splitlines())) <= 80


def make_result(make_examples, **changes):
  """Returns a result with four right of four alone and three across batches."""
  examples = make_examples(4)
  logits = np.eye(3, dtype=np.float32)[examples.labels]
  mixed = logits.copy()
  mixed[0] = np.roll(mixed[0], 1)
  predictions = {
    "ids": examples.ids,
    "logits": logits,
    "logits_across_batch": mixed,
  }
  batches = protocols.Batches("shuffled", 8, 3)
  scores = protocols.figures(predictions, examples.labels, batches, "test")
  return {
    "checkpoint": "runs/x",
    "trained_on": "fer2013",
    "method": "pattlite",
    "attention": "batch",
    "dataset": "ferplus",
    "rule": "majority",
    "class_names": list(CLASS_NAMES),
    "classes_reordered": False,
    "splits": {"test": scores},
    **changes,
  }


def test_the_report_never_calls_a_mixed_figure_accuracy(make_examples):
  lines = text.report(make_result(make_examples)).splitlines()
  assert lines[0] == "Protocol: one image at a time (per sample)."
  accuracies = [line for line in lines if line.startswith("accuracy")]
  assert [line.split()[1] for line in accuracies] == ["100.00"]
  across = next(
    i for i, x in enumerate(lines) if x.startswith("Across batches")
  )
  assert "shuffled order (seed 3), batches of 8" in lines[across]
  correct = next(x for x in lines[across:] if x.startswith("correct"))
  assert correct.split() == ["correct", "75.00", "%", "100.00", "%"]
  assert not any(x.startswith("accuracy") for x in lines[across:])
  assert lines[-1].startswith("1 of 4 predictions differ")
  assert max(map(len, lines)) <= 80


def test_the_report_shows_what_is_undefined_and_reordered(make_examples):
  result = make_result(make_examples, classes_reordered=True)
  result["splits"]["test"]["per_sample"]["per_class"][1] = {
    "precision": None,
    "recall": None,
    "f1": None,
    "support": 0,
  }
  report = text.report(result)
  assert "mapped by name" in report
  row = next(x for x in report.splitlines() if x.startswith("disgust"))
  assert row.split() == ["disgust", "-", "-", "-", "0"]


def test_classes_in_another_order_are_mapped_by_name(make_examples):
  examples = make_examples(20)
  names = ("happiness", "anger", "disgust")
  matched = match_classes(examples, names)
  assert matched.class_names == names
  for before, after in zip(examples.labels, matched.labels, strict=True):
    assert names[after] == CLASS_NAMES[before]


def test_other_classes_are_an_error(make_examples):
  with pytest.raises(ValueError, match="choose a data set") as error:
    match_classes(make_examples(3), ("anger", "fear", "happiness"))
  assert "anger, disgust, happiness" in str(error.value)
  assert "anger, fear, happiness" in str(error.value)


@pytest.mark.parametrize(
  ("own", "translated", "absent"),
  [
    (("Happy", "ANGRY"), {"Happy": "happiness", "ANGRY": "anger"}, ["disgust"]),
    (("disgust", "happiness", "anger"), {}, []),
  ],
)
def test_names_that_mean_the_same_are_matched(
  make_examples, own, translated, absent
):
  examples = make_examples(20)
  labels = examples.labels % len(own)
  examples = dataclasses.replace(examples, labels=labels, class_names=own)
  matched = match_classes(examples, CLASS_NAMES)
  meant = [CLASS_NAMES[label] for label in matched.labels]
  assert meant == [translated.get(own[k], own[k]) for k in labels]
  described = describe_classes(own, CLASS_NAMES)
  assert described == {
    "classes_reordered": True,
    "classes_translated": translated,
    "classes_absent": absent,
  }
  result = make_result(make_examples, **described)
  report = text.report(result)
  assert ("Happy = happiness, ANGRY = anger" in report) == bool(translated)
  assert ("has no disgust" in report) == bool(absent)


def test_two_names_for_one_class_are_refused(make_examples):
  examples = make_examples(3)
  examples = dataclasses.replace(
    examples, class_names=("angry", "disgust", "anger")
  )
  with pytest.raises(
    UserError, match="'angry' and 'anger', which are the same"
  ):
    match_classes(examples, ("anger", "disgust"))


class Answering:
  """A network that gives each image the class that a dict says."""

  attention = "token"
  sharing = None
  patch_extraction = True
  class_names = CLASS_NAMES[::-1]
  config = make_config("token")

  def __init__(self, answers):
    self.answers = answers

  def predictors(self):
    def logits_of(examples, batch_size):
      chosen = [self.answers[i] for i in examples.ids]
      return np.eye(3, dtype=np.float32)[chosen]

    return Predictors(alone=logits_of, across_batch=None)


def test_labels_of_lists_are_mapped_too(make_examples):
  """The network's order is the data's, backwards, and it follows the list."""
  examples = make_examples(12)
  list_labels = (examples.labels + 1) % 3
  listed = challenge_lists.ChallengeList(
    challenge_lists.PUBLISHED["ferplus"][0],
    pathlib.Path("list.txt"),
    num_lines=12,
    ids=examples.ids,
    labels=list_labels,
    duplicates=(),
  )
  subset = challenges.select(listed, examples, frozenset())
  answers = dict(zip(examples.ids, 2 - list_labels, strict=True))
  inputs = Inputs(Answering(answers), "ferplus", "test", examples, (subset,))
  result, scores, _ = evaluate(inputs, "shuffled", 4, 0)
  occlusion = scores["challenges"]["occlusion"]
  assert occlusion["list_labels"]["per_sample"]["accuracy"] == 1
  assert occlusion["data_set_labels"]["per_sample"]["accuracy"] == 0
  assert scores["per_sample"]["accuracy"] == 0
  assert result["classes_reordered"]


def test_logits_that_are_not_finite_are_no_figures(make_examples):
  examples = make_examples(6)
  for bad in (np.nan, np.inf, -np.inf):

    def overflown(examples, batch_size, bad=bad):
      logits = np.eye(3, dtype=np.float32)[examples.labels]
      logits[[2, 4], 1] = bad
      return logits

    def sound(examples, batch_size):
      return np.eye(3, dtype=np.float32)[examples.labels]

    for predictors in (
      Predictors(overflown, None),
      Predictors(sound, overflown),
    ):
      with pytest.raises(UserError, match="2 of 6 images") as caught:
        protocols.score(
          predictors,
          examples,
          protocols.Batches("official", 4, 0),
          split="validation",
        )
      message = str(caught.value)
      assert "validation split" in message
      assert f"{examples.ids[2]}, {examples.ids[4]}" in message


@pytest.fixture
def load_inputs(variables, make_examples, tmp_path):
  """Returns `inputs.load_inputs` of a checkpoint and a packed data set."""
  config = make_config("token")
  checkpoint.save_best(tmp_path / "run", variables, config, CLASS_NAMES)
  splits = {"train": make_examples(5), "test": make_examples(0)}
  packed.write(tmp_path / "faces.npz", "synthetic_faces", splits)

  def load(split, challenge_lists=None):
    return inputs_lib.load_inputs(
      trained.load(tmp_path / "run"),
      DataChoice(packed=str(tmp_path / "faces.npz")),
      split=split,
      challenge_lists=challenge_lists,
    )

  return load


def test_a_packed_set_is_scored_under_its_own_name(load_inputs, make_examples):
  inputs = load_inputs("train")
  assert inputs.dataset == "synthetic_faces"
  assert fingerprint(inputs.examples) == fingerprint(make_examples(5))


def test_a_packed_set_is_scored_without_tensorflow(load_inputs, tmp_path):
  code = (
    "import sys\n"
    "for name in ('tensorflow', 'tensorflow_datasets', 'clu', 'keras'):\n"
    "  sys.modules[name] = None\n"
    "from absl import app, flags\n"
    "from pattlite_jax import evaluate\n"
    "evaluate.define_flags(flags.FLAGS)\n"
    "app.run(evaluate.main)\n"
  )
  done = subprocess.run(
    [
      sys.executable,
      "-c",
      code,
      f"--checkpoint={tmp_path / 'run'}",
      f"--packed={tmp_path / 'faces.npz'}",
      "--split=train",
      f"--json={tmp_path / 'figures.json'}",
    ],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  result = json.loads((tmp_path / "figures.json").read_text())
  assert result["dataset"] == "synthetic_faces"
  scores = result["splits"]["train"]["per_sample"]
  assert scores["num_examples"] == 5


def test_misuse_is_named(load_inputs):
  with pytest.raises(ValueError, match="test split of synthetic_faces has no"):
    load_inputs("test")
  with pytest.raises(ValueError, match="--split=test"):
    load_inputs("train", challenge_lists="lists")


def run(*args):
  return subprocess.run(
    [sys.executable, "-m", "pattlite_jax.evaluate", *args],
    cwd=ROOT,
    env=os.environ | {"JAX_PLATFORMS": "cpu"},
    capture_output=True,
    text=True,
    timeout=300,
  )


def write_ferplus(folder):
  """Writes 2 training and 8 test faces; the votes of the last agree on none."""
  rng = np.random.default_rng(0)
  faces = ["emotion,pixels,Usage"]
  votes = ["Usage,Image name," + ",".join(ferplus.VOTE_COLUMNS)]
  for i in range(10):
    usage = "Training" if i < 2 else "PrivateTest"
    pixels = " ".join(map(str, rng.integers(0, 256, 48 * 48)))
    faces.append(f"0,{pixels},{usage}")
    cast = [0] * 10
    cast[i % 8] = 10
    if i == 9:
      cast = [2] * 5 + [0] * 5
    votes.append(f"{usage},fer{i:07d}.png,{','.join(map(str, cast))}")
  (folder / "fer2013.csv").write_text("\n".join(faces))
  (folder / "fer2013new.csv").write_text("\n".join(votes))


def write_lists(folder):
  folder.mkdir()
  occlusion, pose_30, _ = challenge_lists.PUBLISHED["ferplus"]
  lines = [
    "2_fer0000002.png 8 0",
    "2_fer0000002.png 8 0",
    "7_fer0000003.png 8 1",
  ]
  (folder / occlusion.file).write_text("\r\n".join(lines))
  lines = ["1/fer0000009.jpg", "4/fer0000004.jpg", "0/fer0000077.jpg"]
  (folder / pose_30.file).write_text("\n".join(lines))


@pytest.mark.slow
def test_the_command_scores_prints_and_writes(tmp_path):
  config = make_config("batch")
  config.data.name = "ferplus/majority"
  config.data.dir = str(tmp_path)
  config.data.prepared_dir = str(tmp_path / "prepared")
  with checkpoint.open_manager(tmp_path / "run") as manager:
    checkpoint.save(
      manager,
      1,
      state={"step": np.ones(1)},
      best=setup.random_variables(config, 8),
      progress=Progress().to_json(),
      config=checkpoint.describe(config, ferplus.CLASS_NAMES),
    )
    manager.wait_until_finished()
  write_ferplus(tmp_path)
  write_lists(tmp_path / "lists")
  done = run(
    f"--checkpoint={tmp_path / 'run'}",
    "--order=class_sorted",
    "--batch_size=3",
    f"--challenge_lists={tmp_path / 'lists'}",
    f"--against={tmp_path / 'run'}",
    f"--json={tmp_path / 'new/figures.json'}",
    f"--predictions={tmp_path / 'new/logits.npz'}",
    f"--pictures={tmp_path / 'pictures'}",
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout.startswith("Protocol: one image at a time")
  assert "pose_45_ferplus_list.txt" in done.stderr  # It is missing.

  result = json.loads((tmp_path / "new/figures.json").read_text())
  assert result["dataset"] == "ferplus"
  assert result["rule"] == "majority"
  scores = result["splits"]["test"]
  assert scores["per_sample"]["num_examples"] == 7
  assert scores["across_batch"]["batch_size"] == 3
  assert "pattlite_jax.evaluate" in result["command"]
  with np.load(tmp_path / "new/logits.npz") as stored:
    assert stored["logits"].shape == (7, 8)
    assert stored["logits_across_batch"].shape == (7, 8)
    hits = (stored["logits"].argmax(1) == stored["labels"]).mean()
    assert tuple(stored["class_names"]) == ferplus.CLASS_NAMES
    assert stored["ids"].tolist() == [f"fer{i:07d}" for i in range(2, 9)]
    assert stored["labels"].tolist() == [i % 8 for i in range(2, 9)]
  assert hits == scores["per_sample"]["accuracy"]
  assert scores["against"] == {
    "checkpoint": str(tmp_path / "run"),
    "accuracy": hits,
    "right_here_alone": 0,
    "right_there_alone": 0,
    "p_value": 1.0,
  }
  assert len(list((tmp_path / "pictures").iterdir())) == 4
  for path in (tmp_path / "pictures").iterdir():
    assert plt.imread(path).ndim == 3

  occlusion, pose = (scores["challenges"][k] for k in ("occlusion", "pose_30"))
  assert occlusion["duplicates"] == ["fer0000002"]
  assert occlusion["num_lines"] == 3
  assert occlusion["label_agreement"] == 0.5
  assert pose["dropped_by_rule"] == ["fer0000009"]
  assert pose["unknown"] == ["fer0000077"]
  assert pose["list_labels"]["per_sample"]["num_examples"] == 1
  listed = occlusion["list_labels"]["per_sample"]["per_class"]
  own = occlusion["data_set_labels"]["per_sample"]["per_class"]
  assert [row["support"] for row in listed] == [0, 0, 1, 0, 0, 0, 0, 1]
  assert [row["support"] for row in own] == [0, 0, 1, 1, 0, 0, 0, 0]
  assert "1 without a label by the FER+ rule" in done.stdout
  assert "3 lines, but 605 were published" in done.stdout


def test_a_wrong_checkpoint_is_one_line(tmp_path):
  done = run(f"--checkpoint={tmp_path / 'nowhere'}")
  assert done.returncode == 1
  assert "Traceback" not in done.stderr
  last = done.stderr.strip().splitlines()[-1]
  assert last.startswith(f"Error: No checkpoint at {tmp_path / 'nowhere'}")


def test_help_needs_neither_jax_nor_tensorflow():
  code = (
    "import sys, pattlite_jax.evaluate; "
    "sys.exit(bool({'jax', 'tensorflow'} & set(sys.modules)))"
  )
  done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
  assert done.returncode == 0
