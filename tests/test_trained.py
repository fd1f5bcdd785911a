import jax
import numpy as np
import pytest
from etils import epath

from pattlite_jax import methods, trained
from pattlite_jax.training import checkpoint, setup
from pattlite_jax.training.progress import Progress
from pattlite_jax.weights import model_folder, trunk

NAMES = ("anger", "disgust", "happiness")


@pytest.fixture
def saved(small_config):
  """Two steps of a run; the best weights of step 7 are all a tenth larger."""
  variables = jax.device_get(setup.init_variables(small_config, 3))
  larger = jax.tree.map(lambda x: np.float32(1.1 * x), variables)
  described = checkpoint.describe(small_config, NAMES)
  with checkpoint.open_manager(small_config.workdir) as manager:
    for step, best in ((3, variables), (7, larger)):
      checkpoint.save(
        manager,
        step,
        state=variables,
        best=best,
        progress=Progress().to_json(),
        config=described,
      )
    manager.wait_until_finished()
  return small_config.workdir, variables, larger


def same(tree, other):
  jax.tree.map(np.testing.assert_array_equal, tree, other)


def test_a_workdir_gives_its_newest_best_weights(saved):
  workdir, _, larger = saved
  network = trained.load(workdir)
  same(network.variables, larger)
  assert network.class_names == NAMES
  assert network.attention == "token"


def test_a_tilde_is_the_home_directory(saved, monkeypatch, tmp_path):
  workdir, variables, larger = saved
  monkeypatch.setenv("HOME", str(tmp_path))
  assert workdir == str(tmp_path / "run")
  same(trained.load("~/run").variables, larger)
  same(trained.load("~/run/checkpoints/3").variables, variables)
  described = checkpoint.restore_config("~/run")
  model_folder.write("~/model", larger, described)
  assert (tmp_path / "model").is_dir()
  same(trained.load("~/model").variables, larger)
  file = f"~/model/{model_folder.WEIGHTS}"
  same(trunk.load_imagenet_trunk(file), larger)  # config.model.trunk_weights.


def test_a_steps_own_folder_gives_that_step(saved):
  workdir, variables, _ = saved
  same(trained.load(f"{workdir}/checkpoints/3").variables, variables)


def test_fields_newer_than_the_checkpoint_take_their_defaults(
  saved, monkeypatch
):
  workdir, _, _ = saved
  described = checkpoint.restore_config(workdir)
  del described["config"]["model"]["patch_stride"]
  monkeypatch.setattr(checkpoint, "restore_config", lambda path: described)
  assert trained.load(workdir).config.model.patch_stride == 4


def test_logits_are_those_of_each_image(saved, make_examples):
  network = trained.load(saved[0])
  images = make_examples(5).images
  together = network.logits(images)
  assert together.shape == (5, 3)
  alone = [network.logits(image[None]) for image in images]
  np.testing.assert_allclose(
    np.concatenate(alone), together, rtol=1e-4, atol=1e-4
  )


def test_a_folder_without_a_checkpoint_says_what_was_expected(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"workdir.*--checkpoint"):
    trained.load(tmp_path)


def test_a_run_before_its_first_save_is_an_error(tmp_path):
  (tmp_path / "checkpoints").mkdir()
  with pytest.raises(FileNotFoundError, match="no finished step"):
    trained.load(tmp_path)


@pytest.fixture
def untrained(small_config):
  """A workdir whose step 0 has weights of zeros for three classes."""
  shapes = methods.build(small_config, 3).shapes
  zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
  checkpoint.save_best(small_config.workdir, zeros, small_config, NAMES)
  return epath.Path(small_config.workdir)


def broken(path, message):
  with pytest.raises(ValueError, match=message) as error:
    trained.load(path)
  assert str(path) in str(error.value)
  assert "\n" not in str(error.value)


def test_a_broken_config_item_is_told(untrained):
  path = untrained / "checkpoints/0/config/metadata"
  assert trained.load(untrained).class_names == NAMES
  for content, message in (
    (b"", "Expecting value"),
    (b"{garbage", "Expecting property name"),
    (b"\x80\xff\0", "codec"),
    (b"{}", "is not what was saved"),
  ):
    path.write_bytes(content)
    broken(untrained, message)


def test_a_config_item_of_another_kind_is_told(
  small_config, monkeypatch, tmp_path
):
  shapes = methods.build(small_config, 3).shapes
  zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
  described = checkpoint.describe(small_config, NAMES)
  longer = {**described, "class_names": [*NAMES, "fear"]}
  for number, (content, message) in enumerate(
    (
      ({"config": {}}, r"config item is \{'config'.*class_names"),
      ({"config": {}, "class_names": "abc"}, "list of class_names"),
      ({"config": 3, "class_names": []}, "must have config"),
      ({"config": {"model": 3}, "class_names": []}, "broken"),
      ({"config": {"model": {"cut": 3}}, "class_names": []}, "cut"),
      ({"config": {"model": {"cut": "x"}}, "class_names": []}, r"'x'.*conv1"),
      (longer, r"classifier/bias \(3,\) instead of \(4,\)"),
    )
  ):
    # Saved whole, so that only its meaning is wrong.
    monkeypatch.setattr(checkpoint, "describe", lambda *_, c=content: c)
    workdir = tmp_path / str(number)
    checkpoint.save_best(workdir, zeros, small_config, NAMES)
    broken(workdir, message)


def test_broken_weights_are_told(untrained):
  (untrained / "checkpoints/0/best/manifest.ocdbt").write_text("x")
  broken(untrained / "checkpoints/0", r"is broken \(--checkpoint\): ")
