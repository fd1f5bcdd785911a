"""Keras files that were made to do harm, or went wrong, are refused."""

import json
import zipfile

import h5py
import numpy as np
import pytest
from etils import epath

from pattlite_jax.weights import keras_files, keras_model

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


def refused(path, message, read=keras_files.read_layers):
  with pytest.raises(ValueError, match=message) as error:
    read(epath.Path(path))
  assert str(path) in str(error.value)
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


def test_what_grows_when_it_is_unpacked_is_refused(path, monkeypatch):
  with h5py.File(path, "a") as file:
    arrays = file["layers/conv2d/vars"]
    size = 2**36  # 256 GB of zeros, none of which are in the file.
    arrays.create_dataset("1", (size,), "f4", chunks=(2**20,))
  assert path.stat().st_size < 20_000
  refused(path, "more than 1000 layers or 256,000,000 bytes")
  monkeypatch.setattr(keras_files, "MAX_BYTES", 1000)
  refused(
    archive(path), r"model\.weights\.h5 in it has .* bytes unpacked, at most 1,"
  )


def test_what_is_linked_time_and_again_is_refused(path, monkeypatch):
  with h5py.File(path, "a") as file:
    for number in range(1, 5):
      file[f"layers/conv2d_{number}"] = file["layers/conv2d"]
  assert len(keras_files.read_layers(epath.Path(path))) == 1  # All are conv1.
  monkeypatch.setattr(keras_files, "MAX_BYTES", 4 * KERNEL.nbytes)
  refused(path, "bytes of arrays")


def test_too_many_layers_are_refused(tmp_path):
  path = tmp_path / "many.h5"
  with h5py.File(path, "w") as file:
    file.attrs["layer_names"] = [b"a"] * (keras_files.MAX_LAYERS + 1)
    file.create_group("a").attrs["weight_names"] = np.array([], "S1")
  refused(path, "more than 1000 layers")


def test_links_to_other_files_are_not_followed(path, tmp_path):
  with h5py.File(tmp_path / "other.h5", "w") as other:
    other["vars/0"] = KERNEL
  with h5py.File(path, "a") as file:
    del file["layers/conv2d/vars"]
    link = h5py.ExternalLink(str(tmp_path / "other.h5"), "vars")
    file["layers/conv2d/vars"] = link
  # Which of both depends on the version of h5py.
  refused(path, "outside the file|object 'vars' doesn't exist")


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
  refused(archive(path), "/layers.* is there twice", keras_model.read_model)


@pytest.mark.parametrize(
  ("description", "message"),
  [
    ("", "no description of its model"),
    ("{garbage", "Expecting property name"),
    ("[" * 10**5, "recursion"),
    ('{"config": {"layers": [{}]}}', "class_name"),
    (
      '{"config": {"layers": [{"class_name": "Dense", "config": {}}]}}',
      "does not describe its model as Keras does.*name",
    ),
  ],
)
def test_a_description_of_another_kind_is_refused(path, description, message):
  refused(archive(path, description), message, keras_model.read_model)


@pytest.mark.parametrize("size", [None, 0, -48, "48", 48.5, 10**6])
@pytest.mark.parametrize("field", ["batch_shape", "strides"])
def test_impossible_sizes_are_refused(path, field, size):
  fields = {"batch_shape": [None, 48, 48, 3], "strides": [2, 2]}
  fields[field] = [None if field == "batch_shape" else size, size, size, 3]
  layers = [
    ("InputLayer", {"name": "in", "batch_shape": fields["batch_shape"]}),
    ("Conv2D", {"name": "conv1"}),
    (
      "SeparableConv2D",
      {"name": "s", "kernel_size": [4, 4], "strides": fields["strides"]},
    ),
  ]
  described = [{"class_name": kind, "config": own} for kind, own in layers]
  packed = archive(path, json.dumps({"config": {"layers": described}}))
  refused(packed, "must be square|has the stride", keras_model.read_model)
