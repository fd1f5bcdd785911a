"""Keras files that were made to do harm, or went wrong, are refused."""

import os
import sys
import zipfile

import h5py
import numpy as np
import pytest
from etils import epath

from pattlite_jax.weights import keras_files, keras_graph, keras_process

KERNEL = np.ones((3, 3, 3, 2), np.float32)


@pytest.fixture
def path(tmp_path):
  """A .weights.h5 of Keras 3 with the one layer conv1."""
  path = tmp_path / "a.weights.h5"
  with h5py.File(path, "w") as file:
    arrays = file.create_group("layers/conv2d/vars")
    arrays.attrs["name"] = "conv1"
    arrays["0"] = KERNEL
  return path


def refused(path, message, **limits):
  with pytest.raises(ValueError, match=message) as error:
    keras_files.parse(path.read_bytes(), **limits)
  assert "\n" not in str(error.value)


def archive(path, description="{}"):
  """Puts a weights file into a .keras, packed."""
  packed = path.with_name("model.keras")
  with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
    file.writestr("config.json", description)
    file.write(path, "model.weights.h5")
  return packed


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e300])
def test_numbers_that_are_not_finite_are_refused(path, wrong):
  with h5py.File(path, "a") as file:
    array = file["layers/conv2d/vars/0"][:].astype(np.float64)
    array[1, 1, 1, 1] = wrong
    del file["layers/conv2d/vars/0"]
    file["layers/conv2d/vars/0"] = array
  refused(path, "/layers/conv2d/vars/0 holds numbers that are not finite")


@pytest.mark.parametrize("array", [np.ones(3, np.int32), np.array([b"x"])])
def test_arrays_of_anything_but_floats_are_refused(path, array):
  with h5py.File(path, "a") as file:
    file["layers/conv2d/vars/1"] = array
  refused(path, "/layers/conv2d/vars/1 is not an array of floats")


def test_what_grows_when_it_is_unpacked_is_refused(path):
  with h5py.File(path, "a") as file:
    arrays = file["layers/conv2d/vars"]
    size = 2**36  # 256 GB of zeros, none of which are in the file.
    arrays.create_dataset("1", (size,), "f4", chunks=(2**20,))
  assert path.stat().st_size < 20_000
  refused(path, "more than 1000 layers or 256,000,000 bytes")
  refused(
    archive(path),
    r"model\.weights\.h5 in it has .* bytes unpacked, at most 1,",
    max_bytes=1000,
  )
  long = archive(path, " " * (keras_files.MAX_DESCRIPTION + 1))
  assert long.stat().st_size < 20_000
  refused(long, r"config\.json in it has 10,000,001 bytes unpacked")


def test_what_is_linked_time_and_again_is_refused(path):
  with h5py.File(path, "a") as file:
    for number in range(1, 5):
      file[f"layers/conv2d_{number}"] = file["layers/conv2d"]
  assert len(keras_files.parse(path.read_bytes()).layers) == 5
  refused(path, "bytes of arrays", max_bytes=4 * KERNEL.nbytes)


def test_too_many_layers_are_refused(tmp_path):
  path = tmp_path / "many.h5"
  with h5py.File(path, "w") as file:
    file.attrs["layer_names"] = [b"a"] * (keras_files.MAX_LAYERS + 1)
    file.create_group("a").attrs["weight_names"] = [b"a/k:0"]
    file["a/a/k:0"] = np.ones(1, np.float32)
  refused(path, "more than 1000 layers")


def replace_kernel(file, make):
  del file["layers/conv2d/vars/0"]
  make(file["layers/conv2d/vars"])


def external_group(file, other):
  del file["layers/conv2d/vars"]
  file["layers/conv2d/vars"] = h5py.ExternalLink(str(other), "vars")


def external_link(file, other):
  link = h5py.ExternalLink(str(other), "vars/0")
  replace_kernel(file, lambda group: group.__setitem__("0", link))


def virtual(file, other):
  layout = h5py.VirtualLayout(KERNEL.shape, np.float32)
  layout[...] = h5py.VirtualSource(str(other), "vars/0", KERNEL.shape)
  replace_kernel(file, lambda x: x.create_virtual_dataset("0", layout))


def external_bytes(file, other):
  extent = [(str(other), 0, KERNEL.nbytes)]
  replace_kernel(
    file,
    lambda x: x.create_dataset("0", KERNEL.shape, np.float32, external=extent),
  )


@pytest.mark.parametrize(
  "link", [external_group, external_link, virtual, external_bytes]
)
def test_no_bytes_of_another_file_are_read(path, tmp_path, link):
  other = tmp_path / "other.h5"
  with h5py.File(other, "w") as file:
    file["vars/0"] = KERNEL
  with h5py.File(path, "a") as file:
    link(file, other)
  # The other file is there. Links to it fail within HDF5, or we refuse them.
  try:
    layers = keras_files.parse(path.read_bytes()).layers
  except (KeyError, OSError, ValueError):
    return
  assert not any(layer.arrays for layer in layers)


@pytest.mark.parametrize("place", [24, 8, 48])
def test_damaged_strings_are_refused_instead_of_read_for_ever(path, place):
  """At these bytes of the strings lie sizes: of one, of all, of the rest."""
  content = bytearray(path.read_bytes())
  start = content.index(b"GCOL\1")
  assert content[start + 32 : start + 37] == b"conv1"
  for size in (0, 7, 40_000, 2**64 - 16):
    content[start + place : start + place + 8] = size.to_bytes(8, "little")
    path.write_bytes(content)
    if (place, size) != (24, 7):  # 5 bytes and 7 both fill 8.
      refused(path, f"strings at byte {start:,} are damaged")


def test_layers_in_a_circle_are_refused(path):
  with h5py.File(path, "a") as file:
    file["layers/conv2d/layers"] = file["layers"]
  refused(path, "/layers.* is there twice")


def test_a_process_reads_what_is_there(path):
  file = keras_process.read(epath.Path(archive(path, '{"a": "ä"}')))
  assert (file.description, file.by_class) == ('{"a": "ä"}', True)
  (layer,) = file.layers
  assert (layer.path, layer.name) == (("conv2d",), "conv1")
  np.testing.assert_array_equal(layer.arrays[0], KERNEL)
  path.write_bytes(path.read_bytes()[:900])
  with pytest.raises(ValueError, match="cannot be read as a Keras") as error:
    keras_process.read(epath.Path(path))
  assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
  ("seconds", "code"),
  [
    (9, "import os; os.abort()"),
    (9, "x = bytearray(2**30)"),
    (1, "while True: pass"),
  ],
)
def test_a_process_that_fails_is_an_error_in_one_line(path, seconds, code):
  """As HDF5 crashes, takes all memory, or never ends on a crafted file."""
  code = (
    "from pattlite_jax.weights import keras_process\n"
    f"keras_process.limit(2**30, {seconds})\n{code}"
  )
  with pytest.raises(ValueError, match=r"HDF5 crashed.*status") as error:
    keras_process.read(epath.Path(path), [sys.executable, "-c", code])
  assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.skipif(os.name != "posix", reason="FIFOs are POSIX's")
def test_what_is_no_file_is_not_waited_for(tmp_path):
  os.mkfifo(tmp_path / "model.keras")
  with pytest.raises(FileNotFoundError, match="is no file"):
    keras_process.read(epath.Path(tmp_path / "model.keras"))


@pytest.mark.parametrize(
  ("description", "message"),
  [
    ("{garbage", "Expecting property name"),
    ("[" * 10**5, "too deep"),
    ("[]", "as Keras does"),
    ('{"config": {"layers": [{}]}}', "as Keras does: KeyError"),
    ('{"config": {"layers": [{"class_name": "Dense"}]}}', "KeyError"),
  ],
)
def test_a_description_of_another_kind_is_refused(description, message):
  with (
    pytest.raises(ValueError, match=message),
    keras_graph.errors_about("a.keras"),
  ):
    keras_graph.read(description)
