import jax
import numpy as np
import pytest

from pattlite_jax import build, checkpoint, trained
from pattlite_jax.progress import Progress

NAMES = ("anger", "disgust", "happiness")


@pytest.fixture
def saved(small_config):
  """Two steps of a run; the best weights of step 7 are all a tenth larger."""
  variables = jax.device_get(build.init_variables(small_config, 3))
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
