"""A run's folder becomes a model's folder, and the shipped ones are whole."""

import json
import os
import shutil

import jax
import numpy as np
import pytest
import small_run_config
from small_run import fit

import pattlite_jax
from pattlite_jax import methods, trained
from pattlite_jax.config.fields import METHODS
from pattlite_jax.data import packed
from pattlite_jax.data.source import DataChoice
from pattlite_jax.release import model_card, model_check, write
from pattlite_jax.scoring import protocols
from pattlite_jax.scoring.inputs import load_inputs
from pattlite_jax.training import setup
from pattlite_jax.weights import model_folder, trunk

NUM_PARAMETERS = 1_200_000  # At most.
MAX_BYTES = 5_000_000


def test_paths_of_the_machine_leave_the_command():
  command = (
    "python -m pattlite_jax.main --config configs/a.py --config.seed=1 "
    "'--config.data.dir=/home/my faces' --config.workdir '/a b/c' "
    "'--config.data.packed=~/f.npz'"
  )
  assert write.without_folders(command) == (
    "python -m pattlite_jax.main --config configs/a.py --config.seed=1 "
    "--config.data.dir=FOLDER --config.workdir=FOLDER "
    "--config.data.packed=FOLDER"
  )


@pytest.fixture(scope="module")
def released(tmp_path_factory, make_splits):
  """(folder, the run's result) of a short run."""
  folder = tmp_path_factory.mktemp("released")
  config = small_run_config.make(folder / "run")
  config.data.dir = "/home/me/data"
  config.stage2.epochs = 0
  splits = make_splits()
  result, _ = fit(config, splits)
  packed.write(folder / "faces.npz", "synthetic_faces", splits)
  choice = DataChoice(packed=str(folder / "faces.npz"))
  write.release(config.workdir, folder / "model", choice, split="validation")
  return folder / "model", result


@pytest.mark.slow
def test_a_run_becomes_a_folder(released, splits):
  folder, result = released
  described = json.loads((folder / "config.json").read_text())
  assert described["image_shape"] == [16, 16, 1]
  assert described["training"]["git_revision"] == result["git_revision"]
  figures = described["evaluation"]["splits"]["validation"]["per_sample"]
  before = result["splits"]["validation"]["per_sample"]
  for name in ("accuracy", "macro_f1", "confusion_matrix"):
    assert figures[name] == before[name]  # No temperature changes a class.
  assert figures["loss"] < before["loss"]
  found = described["calibration"]
  assert (found["split"], found["num_examples"]) == ("validation", 9)
  assert found["loss_before"] == pytest.approx(before["loss"])
  assert described["history"] == result["history"]
  text = "".join(path.read_text() for path in folder.glob("*.[jm][sd]*"))
  assert "/home/me" not in text and str(folder.parent) not in text

  classify = pattlite_jax.load(folder)
  images = splits["validation"].images
  labels = splits["validation"].labels
  probabilities = classify(images)
  assert (probabilities.argmax(-1) == labels).mean() == figures["accuracy"]
  loss = -np.log(probabilities[np.arange(9), labels]).mean()
  assert loss == pytest.approx(figures["loss"], rel=1e-4)
  assert model_check.on_drawn_faces(classify.network) == described["check"]

  # What was released can be released again, and is the same.
  choice = DataChoice(packed=str(folder.parent / "faces.npz"))
  again = folder.parent / "again" / "model"
  write.release(folder, again, choice, split="validation")
  for path in folder.glob("*.[sojm]*"):
    assert (again / path.name).read_bytes() == path.read_bytes(), path


@pytest.mark.slow
def test_a_network_trained_in_bfloat16_is_released_in_float32(released, splits):
  folder, _ = released
  described = json.loads((folder / "config.json").read_text())
  described["config"]["model"]["dtype"] = "bfloat16"
  half, out = folder.parent / "half", folder.parent / "of_half"
  shutil.copytree(folder, half)
  (half / "config.json").write_text(json.dumps(described))
  choice = DataChoice(packed=str(folder.parent / "faces.npz"))
  write.release(half, out, choice, split="validation")
  images = splits["validation"].images
  probabilities = [pattlite_jax.load(f)(images) for f in (out, folder, half)]
  np.testing.assert_array_equal(probabilities[0], probabilities[1])
  assert (probabilities[0] != probabilities[2]).any()


@pytest.mark.slow
def test_the_card_says_what_was_measured(released):
  folder, result = released
  card = (folder / "README.md").read_text()
  scores = result["splits"]["validation"]["per_sample"]
  for words in (
    "# PAtt-Lite, synthetic_faces",
    f"| accuracy | {100 * scores['accuracy']:.2f} % (95 % interval",
    "Article 5(1)(f)",
    "Validation split, 9 images, one at a time",
    "accuracy without the 0 images that the training split holds too",
    f"Revision {result['git_revision']}",
  ):
    assert words in card
  for line in card.splitlines():
    if line.startswith("!["):
      assert (folder / line.split("(")[1][:-1]).stat().st_size > 1000


@pytest.mark.slow
def test_the_card_names_the_networks_it_learned_from(released):
  folder, _ = released
  described = json.loads((folder / "config.json").read_text())
  assert described["training"]["taught_by"] == {}
  assert described["training"]["started_from"] == {}
  card = model_card.text("model", described)
  assert "training split; the trunk started from ImageNet." in card
  assert "teacher" not in card
  taught_by = {"dataset": "ferplus/argmax", "sha256": "5e", "ancestors": ["c"]}
  described["training"]["taught_by"] = {"runs/a": taught_by}
  described["config"]["distillation"]["share"] = 0.25
  card = model_card.text("model", described)
  assert "a share of 0.25" in card
  assert "`runs/a` (ferplus/argmax, sha256 5e, from c)" in card
  assert "networks named here learned from; the trunk started from Im" in card
  data = card.partition("## Data")[2].partition("##")[0]
  assert "Trained on: Drawn faces" in data
  assert "learned from were trained on: FER+ (Barsoum" in data
  # As older versions wrote it.
  described["training"]["started_from"] = {"runs/b": "ck_plus/fold1, sha256 7"}
  card = model_card.text("model", described)
  assert "all weights started from `runs/b` (ck_plus/fold1, sha256 7)" in card
  assert "ImageNet" not in card.partition("## Training")[2].partition("##")[0]


def test_a_network_without_patches_and_attention_is_called_no_patt_lite():
  folder = model_folder.find("fer2013")
  described = json.loads((folder / model_folder.CONFIG).read_text())
  described["evaluation"] |= {"attention": "none", "patch_extraction": True}
  card = model_card.text("model", described)
  assert "# PAtt-Lite, fer2013" in card and "attention none" in card
  described["evaluation"]["patch_extraction"] = False
  card = model_card.text("model", described)
  assert "# Plain mean, fer2013" in card
  assert "Method: a plain mean, without patches and attention" in card


@pytest.fixture
def described():
  """What the config.json of a shipped network holds."""
  folder = model_folder.find("fer2013")
  return json.loads((folder / model_folder.CONFIG).read_text())


def test_a_card_claims_nothing_of_faces_and_weights_that_are_the_trainers_own(
  described,
):
  described["evaluation"] |= {"trained_on": "folders", "dataset": "folders"}
  card = model_card.text("model", described)
  assert "Drawn faces" not in card and "A data set of its trainer's" in card
  described["training"] |= {"started_from": {}, "taught_by": {}}
  described["config"]["model"]["trunk_weights"] = "ms1m_ir50.pth"
  card = model_card.text("model", described)
  assert "and what the trunk's first weights learned from" in card
  assert "under Apache-2.0" not in card
  described["config"]["model"]["trunk_weights"] = "random"
  card = model_card.text("model", described)
  assert "under Apache-2.0; the data's" in card and "ImageNet" not in card


@pytest.mark.parametrize(
  ("class_names", "checked"),
  [(("sad", "Happy", "bored"), True), (("calm", "bored"), False)],
)
def test_the_check_is_of_the_expressions_that_are_drawn_and_known(
  small_config, class_names, checked
):
  variables = setup.random_variables(small_config, len(class_names))
  network = trained.Trained(
    variables, small_config, class_names, image_shape=(48, 48, 1)
  )
  found = model_check.on_drawn_faces(network)
  assert (found is not None) == checked


def test_every_method_has_a_name_on_its_card():
  folder = model_folder.find("fer2013")
  described = json.loads((folder / model_folder.CONFIG).read_text())
  titles = set()
  for method in METHODS:
    described["evaluation"]["method"] = method
    titles.add(model_card.text("model", described).splitlines()[0])
  assert len(titles) == len(METHODS)


def test_a_run_that_has_not_ended_is_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match="has ended"):
    write.release(tmp_path, tmp_path / "out", DataChoice(), split="test")


@pytest.mark.slow
def test_a_changed_weight_changes_the_check(released):
  network = trained.load(released[0])
  before = model_check.on_drawn_faces(network)
  network.variables["params"]["patch_extraction"]["patch3"]["bias"] += 10.0
  assert model_check.on_drawn_faces(network)["loss"] != pytest.approx(
    before["loss"], abs=2e-4
  )


@pytest.mark.parametrize("name", model_folder.shipped())
def test_a_shipped_models_weights_fit_its_config(name):
  """`load` does not compare them: it would take as long as to import JAX."""
  network = trained.load(name)
  shapes = methods.build(network.config, len(network.class_names)).shapes
  trunk.select_layers(network.variables, shapes, all_used=True)


@pytest.mark.parametrize("name", model_folder.shipped())
def test_a_shipped_model_is_what_was_released(name):
  folder = model_folder.find(name)
  described = json.loads((folder / model_folder.CONFIG).read_text())
  classify = pattlite_jax.load(name)
  assert os.path.getsize(folder / model_folder.WEIGHTS) <= MAX_BYTES
  params = jax.tree.leaves(classify.network.variables["params"])
  assert sum(x.size for x in params) <= NUM_PARAMETERS
  check = model_check.on_drawn_faces(classify.network)
  # A renderer's or a processor's last bits may differ from the release's.
  assert check["loss"] == pytest.approx(described["check"]["loss"], rel=1e-3)
  assert check["accuracy"] == described["check"]["accuracy"]
  face = np.zeros([90, 70, 3], np.uint8)
  assert classify(face).shape == (len(classify.class_names),)


@pytest.mark.skipif(
  "PATTLITE_FER2013_DIR" not in os.environ,
  reason="PATTLITE_FER2013_DIR, the folder of fer2013.csv, is not set",
)
@pytest.mark.parametrize("name", model_folder.shipped())
def test_a_shipped_models_figures_come_back_on_the_real_split(name):
  folder = model_folder.find(name)
  described = json.loads((folder / model_folder.CONFIG).read_text())
  expected = described["evaluation"]
  ((split, scores),) = expected["splits"].items()
  dataset = expected["dataset"]
  if expected["rule"]:
    dataset = f"{dataset}/{expected['rule']}"
  inputs = load_inputs(
    trained.load(name),
    DataChoice(dataset, os.environ["PATTLITE_FER2013_DIR"]),
    split=split,
    challenge_lists=None,
  )
  found, _ = protocols.evaluate(inputs, protocols.Batches("official", 32, 0))
  for figure in ("accuracy", "macro_f1", "num_examples", "confusion_matrix"):
    again = found["splits"][split]["per_sample"]
    assert again[figure] == scores["per_sample"][figure]
