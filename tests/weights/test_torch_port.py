"""State dicts of PyTorch: every tensor is used once, or named."""

import jax
import numpy as np
import pytest
import safetensors.numpy

from pattlite_jax.models import trunks
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.training import setup
from pattlite_jax.weights import torch_port

torch = pytest.importorskip("torch")
import torch_networks  # noqa: E402


@pytest.fixture(scope="module")
def tensors():
  return torch_networks.arrays(torch_networks.make("resnet18"))


@pytest.fixture(scope="module")
def shapes():
  module = trunks.make("resnet18", "", np.float32)
  images = np.zeros((1, 24, 24, 3), np.float32)
  return jax.eval_shape(module.init, jax.random.key(0), images)


def write(path, tensors):
  if path.suffix == ".safetensors":
    safetensors.numpy.save_file(tensors, path)
  else:
    torch.save({k: torch.tensor(v) for k, v in tensors.items()}, path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "nested.pt"])
def test_a_run_starts_from_the_file(
  name, tensors, shapes, small_config, tmp_path
):
  path = tmp_path / name
  write(path, tensors)
  if name == "nested.pt":  # As DataParallel and training scripts save it.
    inner = {f"module.{k}": torch.tensor(v) for k, v in tensors.items()}
    torch.save({"state_dict": inner, "epoch": 3}, path)
  small_config.method = "baseline"
  small_config.model.trunk = "resnet18"
  small_config.model.trunk_weights = str(path)
  small_config.model.cut = "conv_dw_9_relu"
  found = setup.init_variables(small_config, 3)
  expected = torch_port.convert(tensors, "resnet18", shapes)
  for kind, tree in expected.items():
    jax.tree.map(np.testing.assert_array_equal, found[kind]["trunk"], tree)
  kernel = found["params"]["trunk"]["layer2_0_downsample"]["kernel"]
  theirs = tensors["layer2.0.downsample.0.weight"]
  np.testing.assert_array_equal(kernel[0, 0], theirs[:, :, 0, 0].T)
  # A run that starts from a trained network needs no file.
  small_config.model.trunk_weights = "imagenet"
  small_config.start_from = "a network"
  drawn = setup.init_variables(small_config, 3)
  assert jax.tree.structure(drawn) == jax.tree.structure(found)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"layer1.0.bn1.running_var": None}, "lacks layer1.0.bn1.running_var"),
    (
      {"conv1.weight": np.zeros((64, 1, 7, 7), np.float32)},
      r"conv1.weight \[64, 1, 7, 7\] instead of \[64, 3, 7, 7\]",
    ),
    (
      {"layer1.2.conv1.weight": np.zeros(3, np.float32)},
      "left over are layer1.2.conv1.weight",
    ),
    (
      {"bn1.bias": np.full(64, np.nan, np.float32)},
      "bn1.bias with other values than finite floats",
    ),
  ],
)
def test_what_does_not_fit_is_named(change, message, tensors, shapes, tmp_path):
  changed = {k: v for k, v in (tensors | change).items() if v is not None}
  path = tmp_path / "odd.safetensors"
  write(path, changed)
  with pytest.raises(UserError, match=message) as error:
    torch_port.load(path, "resnet18", shapes)
  assert str(path) in str(error.value) and "\n" not in str(error.value)
  assert "torchvision's resnet18" in str(error.value)


def test_a_file_with_code_is_not_run(shapes, tmp_path):
  path = tmp_path / "evil.pth"
  marker = tmp_path / "ran"

  class Evil:
    def __reduce__(self):
      return open, (str(marker), "w")

  torch.save({"a": Evil()}, path)
  with pytest.raises(UserError, match="cannot read it as plain tensors"):
    torch_port.load(path, "resnet18", shapes)
  assert not marker.exists()


@pytest.mark.parametrize(
  ("name", "content", "message"),
  [
    ("a.pkl", b"", "ends in '.pkl', not in"),
    ("a.safetensors", b"12", "no complete safetensors file"),
    ("a.pth", b"12", "cannot read it as plain tensors"),
  ],
)
def test_other_files_are_refused(name, content, message, shapes, tmp_path):
  (tmp_path / name).write_bytes(content)
  with pytest.raises(UserError, match=message):
    torch_port.load(tmp_path / name, "ir50", shapes)
  with pytest.raises(MissingFileError, match="absent"):
    torch_port.load(tmp_path / "absent.pth", "ir50", shapes)


def test_more_than_tensors_is_refused(shapes, tmp_path):
  torch.save({"a": 1}, tmp_path / "a.pth")
  with pytest.raises(UserError, match="more than a dict of tensors"):
    torch_port.load(tmp_path / "a.pth", "resnet18", shapes)
