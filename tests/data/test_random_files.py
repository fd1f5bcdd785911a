"""Every reader of a user's file reads it or refuses it, whatever it holds.

Refused means: an OSError or ValueError in one line, which names the file.
"""

import io
import json
import os
import pathlib
import shutil
import tempfile
import zipfile

import h5py
import jax
import numpy as np
import PIL.Image
import pytest
import safetensors.numpy
from etils import epath
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pattlite_jax import config as config_lib
from pattlite_jax import methods, trained
from pattlite_jax.data import challenge_lists, examples, load, packed
from pattlite_jax.data.readers import (
  ck_plus,
  fer2013,
  ferplus,
  image_file,
  raf_db,
)
from pattlite_jax.report import result_file
from pattlite_jax.weights import (
  checkpoint,
  keras_files,
  keras_graph,
  keras_network,
  keras_process,
  model_folder,
  safetensors_io,
)


def picture(kind, mode="RGB", **options):
  file = io.BytesIO()
  exif = PIL.Image.Exif()
  exif[0x0112] = 6
  PIL.Image.radial_gradient("L").resize((9, 6)).convert(mode).save(
    file, kind, exif=exif, **options
  )
  return file.getvalue()


def csv_file(header, *rows):
  return "\r\n".join([header, *rows, ""]).encode()


def h5_file(write):
  file = io.BytesIO()
  with h5py.File(file, "w") as own:
    write(own)
  return file.getvalue()


def write_keras_3(file):
  arrays = file.create_group("layers/conv2d/vars")
  arrays.attrs["name"] = "conv1"
  arrays["0"] = np.ones((3, 3, 3, 2), np.float32)


def write_keras_2(file):
  group = file.create_group("model_weights")
  group.attrs["layer_names"] = [b"conv1"]
  layer = group.create_group("conv1")
  layer.attrs["weight_names"] = [b"conv1/kernel:0"]
  layer["conv1/kernel:0"] = np.ones((3, 3, 3, 2), np.float32)
  file.attrs["model_config"] = "{}"


def read_keras(path):
  """Reads what Keras wrote, in this process, which shows how HDF5 ends."""
  try:
    keras_files.parse(path.read_bytes())
  except Exception as error:  # As the process that reads it takes any.
    raise ValueError(path.name) from error


def read_description(path):
  """Reads the JSON of a model, without the process for its arrays."""
  with keras_graph.errors_about(str(path)):
    keras_network.pattlite(keras_graph.read(path.read_bytes())[0])


def keras_zip(weights, description, compression=zipfile.ZIP_STORED):
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", compression) as archive:
    archive.writestr("config.json", description)
    archive.writestr("model.weights.h5", weights)
  return file.getvalue()


def packed_file():
  rng = np.random.default_rng(0)
  split = examples.Examples(
    rng.integers(0, 256, (3, 8, 8, 1), np.uint8),
    np.array([0, 1, 0], np.int32),
    np.array(["a", "b", "c"]),
    ("anger", "fear"),
    np.float32([[1, 0], [0, 1], [0.5, 0.5]]),
  )
  with tempfile.TemporaryDirectory() as folder:
    packed.write(f"{folder}/f.npz", "raf_db", {"train": split, "test": split})
    return (pathlib.Path(folder) / "f.npz").read_bytes()


RESULT = {
  "dataset": "fer2013",
  "rule": None,
  "method": "pattlite",
  "attention": "batch",
  "splits": {
    "test": {
      "per_sample": {
        "num_examples": 4,
        "accuracy": 0.75,
        "macro_f1": 0.7,
        "confusion_matrix": [[1, 1], [0, 2]],
      }
    }
  },
}
KERAS_FOLDER = pathlib.Path(__file__).parent.parent / "weights"
PIXELS = " ".join(["7"] * 2304)
VOTES = ",".join(ferplus.VOTE_COLUMNS)
OCCLUSION = challenge_lists.PUBLISHED["ferplus"][0]
KERAS_3 = h5_file(write_keras_3)
CASES = {
  "fer2013.csv": (
    fer2013.read_rows,
    csv_file("emotion,pixels,Usage", f'0,"{PIXELS}",Training'),
  ),
  "fer2013new.csv": (
    ferplus.read_votes,
    csv_file(f"Usage,Image name,{VOTES}", "Training,a.png,9,1,0,0,0,0,0,0,0,0"),
  ),
  "challenge.txt": (
    lambda path: challenge_lists.read_list(path, OCCLUSION, 8),
    b"1_fer0034656.png 8 0\n3_fer0034778.png 8 2\n",
  ),
  "raf_db.txt": (raf_db.read_list, b"train_00001.jpg 5\ntest_0001.jpg 3\n"),
  "emotion.txt": (ck_plus.read_label, b"   3.0000000e+00\n"),
  "landmarks.txt": (
    ck_plus.read_landmarks,
    b"   2.4e+02   1.6e+02\r\n" * ck_plus.NUM_LANDMARKS,
  ),
  "trunk.safetensors": (
    safetensors_io.load_variables,
    safetensors.numpy.save(
      {f"params/{k}/kernel": np.ones((2, 3), np.float32) for k in "ab"}
    ),
  ),
  "keras_3.h5": (read_keras, KERAS_3),
  "keras_2.h5": (read_keras, h5_file(write_keras_2)),
  "model.keras": (read_keras, keras_zip(KERAS_3, b"{}")),
  "deflated.keras": (
    read_keras,
    keras_zip(KERAS_3, b"{}", zipfile.ZIP_DEFLATED),
  ),
  "keras_3.json": (
    read_description,
    (KERAS_FOLDER / "keras_3.json").read_bytes(),
  ),
  "tensorflow.json": (
    read_description,
    (KERAS_FOLDER / "tensorflow_2_13.json").read_bytes(),
  ),
  "packed.npz": (
    lambda path: packed.read(path, "raf_db", soft_targets=True),
    packed_file(),
  ),
  "result.json": (
    lambda path: result_file.read(epath.Path(path)),
    json.dumps(RESULT).encode(),
  ),
} | {
  f"{mode}.{kind}".lower(): (
    lambda path: image_file.read_image(path, 3),
    picture(kind, mode),
  )
  for kind, mode in (
    ("BMP", "RGB"),
    ("GIF", "P"),
    ("JPEG", "RGB"),
    ("JPEG", "CMYK"),
    ("PNG", "RGBA"),
    ("PNG", "P"),
    ("PNG", "I;16"),
    ("TIFF", "LA"),
    ("WEBP", "RGB"),
  )
}
WORDS = [
  b"\n",
  b"\r",
  b'"',
  b",",
  b" ",
  b"-1",
  b"1e999",
  b"nan",
  b"\0",
  b"\xff",
]
WORDS += [b"9" * 30, b"[", b"{", b"null", b"\xef\xbb\xbf", "٣".encode()]


@st.composite
def mutated(draw, content):
  """Replaces bytes here and there, and may cut off the end."""
  content = bytearray(content)
  new = st.binary(max_size=4) | st.sampled_from(WORDS)
  for _ in range(draw(st.integers(0, 4))):
    place = draw(st.integers(0, len(content)))
    content[place : place + draw(st.integers(0, 5))] = draw(new)
  if draw(st.integers(0, 4)) == 0:
    del content[draw(st.integers(0, len(content))) :]
  return bytes(content)


def read_or_refuse(path, content, read):
  path.write_bytes(content)
  try:
    read(path)
  except (OSError, ValueError) as error:
    message = str(error)
    assert path.name in message
    assert "\n" not in message
    assert len(message) < 1000


# Other files at each run. What fails is shown as code that repeats it.
SETTINGS = settings(
  database=None,
  deadline=None,
  max_examples=int(os.environ.get("PATTLITE_RANDOM_FILES", "8")),
  print_blob=True,
  suppress_health_check=list(HealthCheck),
)
# HDF5 takes gigabytes, or never ends, for a few damaged files, which is why a
# process of its own reads them. Here it would end the tests, so these are
# always the same, and none of them is such a file.
HDF5_SETTINGS = settings(SETTINGS, derandomize=True, max_examples=20)
IS_HDF5 = {name for name, (read, _) in CASES.items() if read is read_keras}
OTHERS = sorted(CASES.keys() - IS_HDF5)


def read_damaged(path, data):
  read, content = CASES[path.name]
  path.write_bytes(content)
  read(path)  # Undamaged, it is read.
  read_or_refuse(path, data.draw(mutated(content)), read)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OTHERS)
@SETTINGS
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path, name, data):
  read_damaged(tmp_path / name, data)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(IS_HDF5))
@HDF5_SETTINGS
@given(data=st.data())
def test_a_damaged_hdf5_file_is_read_or_refused(tmp_path, name, data):
  read_damaged(tmp_path / name, data)


@pytest.mark.slow
@settings(SETTINGS, max_examples=5)
@given(content=mutated(KERAS_3))
def test_a_damaged_hdf5_file_ends_nothing_but_its_process(tmp_path, content):
  path = epath.Path(tmp_path / "a.h5")
  read_or_refuse(path, content, keras_process.read)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
@SETTINGS
@given(content=st.binary(max_size=200))
def test_random_bytes_are_read_or_refused(tmp_path, name, content):
  read, valid = CASES[name]
  path = tmp_path / name
  read_or_refuse(path, content, read)
  read_or_refuse(path, valid[:16] + content, read)  # Past a magic number.


class Folder:
  """A folder that a reader reads, one file of which is damaged at a time."""

  def __init__(self, source, copy, read):
    self.source, self.copy, self.read = source, copy, read
    found = (p for p in source.rglob("*") if p.is_file())
    self.files = sorted(path.relative_to(source) for path in found)
    self.read(source)

  def read_damaged(self, data):
    shutil.rmtree(self.copy, ignore_errors=True)
    shutil.copytree(self.source, self.copy)
    path = self.copy / data.draw(st.sampled_from(self.files))
    path.write_bytes(data.draw(mutated(path.read_bytes())))
    before = {p for p in self.copy.rglob("*") if p.is_file()}
    try:
      self.read(self.copy)
    except (OSError, ValueError) as error:
      message = str(error)
      assert str(self.copy) in message
      assert "\n" not in message and len(message) < 2000
    assert {p for p in self.copy.rglob("*") if p.is_file()} == before


@pytest.fixture(scope="module")
def network(tmp_path_factory):
  """A network of zeros, as a checkpoint and as a model's folder."""
  config = config_lib.get_config()
  config.model.update({"image_size": 24, "cut": "conv_pw_1_relu"})
  shapes = methods.build(config, 2).shapes
  zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
  folder = tmp_path_factory.mktemp("network")
  names = ("anger", "fear")
  checkpoint.save_best(folder / "run", zeros, config, names, (16, 16, 1))
  described = checkpoint.describe(config, names)
  described |= {"image_shape": [16, 16, 1], "history": []}
  model_folder.write(folder / "model", zeros, described)
  return folder


@pytest.mark.parametrize("kind", ["model", "run"])
@SETTINGS
@given(data=st.data())
def test_a_damaged_network_is_read_or_refused(network, tmp_path, kind, data):
  folder = Folder(network / kind, tmp_path / kind, trained.load)
  folder.read_damaged(data)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  """A data set of five faces that TFDS has prepared, and its reader."""
  folder = tmp_path_factory.mktemp("fer2013")
  rows = [f'{label},"{PIXELS}",Training' for label in (0, 1, 2, 3, 4)]
  (folder / "fer2013.csv").write_bytes(csv_file("emotion,pixels,Usage", *rows))

  def read(copy):
    return load.load_splits(
      "fer2013", data_dir=str(folder), prepared_dir=str(copy), image_size=48
    )

  read(folder / "copy")
  return folder / "copy", read


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@SETTINGS
@given(data=st.data())
def test_a_damaged_prepared_copy_is_read_or_refused(prepared, tmp_path, data):
  source, read = prepared
  Folder(source, tmp_path / "copy", read).read_damaged(data)
