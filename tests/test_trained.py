import json
import shutil

import jax
import numpy as np
import pytest
from etils import epath

from pattlite_jax import methods, trained
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.training import setup
from pattlite_jax.training.progress import Progress
from pattlite_jax.weights import checkpoint, model_folder, trunk

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
  described = checkpoint.restore("~/run", ["config"])["config"]
  model_folder.write("~/model", larger, described)
  assert (tmp_path / "model").is_dir()
  same(trained.load("~/model").variables, larger)
  file = f"~/model/{model_folder.WEIGHTS}"
  same(trunk.load_mobilenet_trunk(file), larger)  # config.model.trunk_weights.


def test_a_steps_own_folder_gives_that_step(saved):
  workdir, variables, _ = saved
  same(trained.load(f"{workdir}/checkpoints/3").variables, variables)


def test_fields_newer_than_the_checkpoint_take_their_defaults(
  small_config, model_folder_of
):
  folder = model_folder_of(small_config)
  described = json.loads((folder / "config.json").read_text())
  del described["config"]["model"]["patch_stride"]
  (folder / "config.json").write_text(json.dumps(described))
  assert trained.load(folder).config.model.patch_stride == 4


def test_logits_are_those_of_each_image(saved, make_examples):
  network = trained.load(saved[0])
  images = make_examples(5).images
  together = network.logits(images)
  assert together.shape == (5, 3)
  alone = [network.logits(image[None]) for image in images]
  np.testing.assert_allclose(
    np.concatenate(alone), together, rtol=1e-4, atol=1e-4
  )


@pytest.fixture
def model_folder_of(tmp_path):
  """Returns a maker of a folder as release writes it, with weights of zeros."""

  def make(run_config, **changes):
    shapes = methods.build(run_config, 3).shapes
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    described = {
      "config": run_config.to_dict(),
      "class_names": list(NAMES),
      "image_shape": [16, 16, 1],
    }
    model_folder.write(tmp_path / "model", zeros, described | changes)
    return tmp_path / "model"

  return make


def refused(path, message, kind=UserError):
  """Loading says this, in one line, about this path and for --checkpoint."""
  with pytest.raises(kind, match=message) as caught:
    trained.load(path)
  text = str(caught.value)
  assert str(path) in text and "\n" not in text
  assert "--" not in text and "is broken" not in text
  assert caught.value.setting == "checkpoint"


def test_what_is_no_network_is_named(tmp_path):
  missing = MissingFileError
  refused(
    tmp_path / "nowhere",
    r"no such folder.*workdir.*come with the package are: fer2013, ferplus\.$",
    missing,
  )
  refused(tmp_path, r"No checkpoint in .*it is not a run's workdir", missing)
  (tmp_path / "config.json").write_text("{}")
  refused(tmp_path, r"has config\.json, but no weights\.safetensors", missing)
  path = tmp_path / "config.json"
  refused(path, r"config\.json is a file, but .* is a folder", missing)
  (tmp_path / "run/checkpoints").mkdir(parents=True)
  refused(tmp_path / "run", r"holds no finished step yet\.$", missing)


def test_who_asked_is_named(tmp_path):
  with pytest.raises(UserError) as caught:
    trained.load(tmp_path, "start_from")
  assert caught.value.setting == "start_from"


def test_a_damaged_model_folder_is_named_by_its_file(
  small_config, model_folder_of
):
  folder = model_folder_of(small_config)
  assert trained.load(folder).image_shape == (16, 16, 1)
  config, weights = folder / "config.json", folder / "weights.safetensors"
  whole = config.read_bytes(), weights.read_bytes()
  weights.write_bytes(whole[1][:-100])
  refused(folder, r"weights\.safetensors is not a complete safetensors file")
  weights.write_bytes(whole[1])
  for content in (b"", whole[0][:-9], b"\x80\xff"):
    config.write_bytes(content)
    refused(folder, r"config\.json is not valid JSON: ")
  config.unlink()
  refused(folder, r"has weights\.safetensors, but no config", MissingFileError)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (
      {"config": 3},
      r"\['class_names', 'config'.*must have a config, of fields",
    ),
    (
      {"class_names": "abc"},
      "must have a config, of fields, and class_names, a list",
    ),
    ({"image_shape": [16, 16]}, r"has the image_shape \[16, 16\], but must"),
    ({"image_shape": [16, 16, 2]}, r"\[16, 16, 2\], but must"),
    ({"image_shape": [16.0, 16, 1]}, r"\[16.0, 16, 1\], but must"),
    ({"image_shape": [True, 16, 1]}, r"\[True, 16, 1\], but must"),
    ({"image_shape": [0, 16, 1]}, r"at most 4,096 pixels a side"),
    ({"image_shape": [10**9, 10**9, 3]}, r"at most 4,096 pixels a side"),
    ({"image_shape": [-16, 16, 1]}, r"\[-16, 16, 1\], but must"),
    ({"image_shape": "abc"}, r"'abc', but must"),
    (
      {"config": {}},
      "lacks model.attention, model.cut, model.image_size, with",
    ),
    (
      {"config": {"model": {"dtype": "int8"}}},
      "config.model.dtype is 'int8', but must be one of",
    ),
    ({"class_names": [*NAMES[:2], "anger"]}, "class name 'anger' twice"),
    ({"class_names": [1, 2, 3]}, "class names, .* but one is 1"),
    ({"class_names": ["a", "b", "c\nd"]}, r"but one is 'c\\nd'"),
    ({"class_names": ["a", "b", " "]}, "but one is ' '"),
    ({"class_names": ["x" * 101, "b", "c"]}, "at most 100 characters"),
    ({"class_names": [str(n) for n in range(10**4)]}, "but has 10,000"),
    ({"temperature": 0}, "has the temperature 0, but must have a number above"),
    ({"temperature": -1.5}, "temperature -1.5, but must"),
    ({"temperature": "2"}, "temperature '2', but must"),
    ({"temperature": True}, "temperature True, but must"),
    ({"temperature": 101}, "temperature 101, but .* at most 100"),
    ({"history": 3}, "has a history with 3, but must have a record of each"),
    ({"history": [{"stage": "stage9"}]}, "a history with .*stage1 or stage2"),
    ({"history": [{"stage": "stage1", "step": "x"}]}, "and numbers"),
    (
      {"config": {"model": 3}},
      r"cannot be used\. There is no config\.model, wh",
    ),
    (
      {"config": {"model": {"cut": 3}}},
      r"cannot be used\. config\.model\.cut is 3, but",
    ),
    (
      {"config": {"model": {"cut": "x"}}},
      r"config\.json cannot be used\. config\.model\.cut is 'x'.*conv1",
    ),
    (
      {"class_names": [*NAMES, "fear"]},
      r"describes another network.*classifier/bias \(3,\) instead of \(4,\)",
    ),
  ],
)
def test_a_config_that_does_not_fit_is_named_by_its_part(
  small_config, model_folder_of, changes, message
):
  refused(model_folder_of(small_config, **changes), message)


@pytest.mark.parametrize(
  ("wrong", "message"),
  [
    (np.float16(1), "float16"),
    (np.float64(1), "float64"),
    (np.int8(1), "int8"),
    (np.float32("nan"), "float32"),
    (np.float32("inf"), "float32"),
  ],
)
def test_weights_of_other_numbers_are_refused(
  small_config, model_folder_of, wrong, message
):
  """Whether in a model's folder or in a checkpoint whose digests are right."""
  folder = model_folder_of(small_config)
  variables, described = model_folder.read(epath.Path(folder))
  bias = variables["params"]["attention_classifier"]["classifier"]["bias"]
  changed = bias.astype(wrong.dtype)
  changed[1] = wrong
  variables["params"]["attention_classifier"]["classifier"]["bias"] = changed
  message += ".*but must be of finite float32"
  checkpoint.save_best(small_config.workdir, variables, small_config, NAMES)
  refused(small_config.workdir, f"weights in the checkpoint at.*{message}")
  model_folder.write(folder, variables, described)
  refused(folder, f"classifier/bias is.*{message}")


def test_what_would_fill_the_memory_is_refused_by_its_size(
  small_config, model_folder_of
):
  folder = model_folder_of(small_config)
  with (folder / "weights.safetensors").open("r+b") as file:
    file.truncate(2 * 10**9)  # Takes no place on the disk.
  refused(folder, "has 2,000,000,000 bytes, at most 1,000,000,000 are")
  with (folder / "config.json").open("r+b") as file:
    file.truncate(10**8)
  refused(folder, "has 100,000,000 bytes, at most 50,000,000 are")
  (folder / "config.json").write_text("[" * 10**5)
  refused(folder, r"config\.json is not valid JSON: it is too deep")
  (folder / "config.json").write_text("[1]")
  refused(folder, r"config\.json is not valid JSON: a list, but no object")


@pytest.mark.parametrize(
  ("name", "content", "message"),
  [
    ("model.h5", b"\x89HDF\r\n\x1a\n", "keras_port --model="),
    ("saved/saved_model.pb", b"", "SavedModel folder"),
    ("a.safetensors", b"\x02\0\0\0\0\0\0\0{}", "takes a whole network by its"),
    ("w", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
  ],
)
def test_files_of_other_kinds_are_called_what_they_are(
  tmp_path, name, content, message
):
  path = tmp_path / name
  path.parent.mkdir(exist_ok=True)
  path.write_bytes(content)
  path = path if path.parent == tmp_path else path.parent
  with pytest.raises(MissingFileError, match=message) as error:
    trained.load(path)
  assert str(path) in str(error.value)


def test_pointers_of_git_lfs_in_a_folder_are_named(
  small_config, model_folder_of
):
  """As a clone without git-lfs has them."""
  folder = model_folder_of(small_config)
  pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
  for name in ("weights.safetensors", "config.json"):
    (folder / name).write_text(pointer)
    refused(folder, rf"{name} is a git-LFS pointer, .*git lfs pull")
  with pytest.raises(UserError, match="git lfs pull"):
    trunk.load_mobilenet_trunk(folder / "weights.safetensors")


def test_a_mistake_of_the_program_is_not_the_checkpoints():
  with pytest.raises(TypeError):
    trained.load(3)


@pytest.fixture
def untrained(small_config):
  """A workdir whose step 0 has weights of zeros for three classes."""
  shapes = methods.build(small_config, 3).shapes
  zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
  checkpoint.save_best(small_config.workdir, zeros, small_config, NAMES)
  return epath.Path(small_config.workdir)


def test_a_damaged_step_is_named(untrained):
  step = untrained / "checkpoints/0"
  assert trained.load(untrained).class_names == NAMES
  config = step / "config/metadata"
  whole = config.read_bytes()
  for content, message in (
    (b"", "Expecting value"),
    (b"{garbage", "Expecting property name"),
    (b"\x80\xff\0", "codec"),
    (b"{}", "is not what was saved"),
  ):
    config.write_bytes(content)
    refused(untrained, f"No checkpoint in .* is usable: .*{message}")
    refused(step, f"A checkpoint is damaged: .*{message}")
  config.write_bytes(whole)
  (step / "best/manifest.ocdbt").write_text("x")
  refused(step, r"A checkpoint is damaged: .*/0 is unreadable: ")
  shutil.rmtree(step / "progress")
  refused(step, r"A checkpoint is damaged: .*/0 has no progress\.")


def test_the_config_of_a_step_is_named_by_its_checkpoint(
  small_config, tmp_path
):
  variables = {"params": {"a": np.zeros(2, np.float32)}}
  checkpoint.save_best(tmp_path / "run", variables, small_config, NAMES)
  refused(
    tmp_path / "run",
    r"^The config in the checkpoint at .* describes another network\. .*lack",
  )
