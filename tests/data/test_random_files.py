"""Every reader of a user's file reads it or refuses it, whatever it holds.

Refused means: an OSError or ValueError in one line, which names the file.
"""

import io
import json
import zipfile

import h5py
import numpy as np
import PIL.Image
import pytest
import safetensors.numpy
from etils import epath
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pattlite_jax.data import challenge_lists
from pattlite_jax.data.readers import (
  ck_plus,
  fer2013,
  ferplus,
  image_file,
  raf_db,
)
from pattlite_jax.weights import keras_files, keras_model, safetensors_io


def read_layers(path):
  return keras_files.read_layers(epath.Path(path))


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
  file.attrs["model_config"] = DESCRIPTION.decode()


def described(class_name, **fields):
  return {"class_name": class_name, "config": fields}


DESCRIPTION = json.dumps(
  described(
    "Functional",
    layers=[
      described("InputLayer", name="in", batch_shape=[None, 48, 48, 3]),
      described("Conv2D", name="conv1"),
      described(
        "SeparableConv2D", name="s", kernel_size=[4, 4], strides=[2, 2]
      ),
    ],
  )
).encode()


def keras_zip(weights, description, compression=zipfile.ZIP_STORED):
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", compression) as archive:
    archive.writestr("config.json", description)
    archive.writestr("model.weights.h5", weights)
  return file.getvalue()


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
  "keras_3.h5": (read_layers, KERAS_3),
  "keras_2.h5": (read_layers, h5_file(write_keras_2)),
  "model.h5": (keras_model.read_model, h5_file(write_keras_2)),
  "model.keras": (keras_model.read_model, keras_zip(KERAS_3, DESCRIPTION)),
  "deflated.keras": (
    keras_model.read_model,
    keras_zip(KERAS_3, DESCRIPTION, zipfile.ZIP_DEFLATED),
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


# Always the same files: HDF5 takes seconds and gigabytes for a few damaged
# ones, whose strings claim such lengths, and none of them is among these.
SETTINGS = settings(
  deadline=None,
  derandomize=True,
  max_examples=60,
  suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
@SETTINGS
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path, name, data):
  read, content = CASES[name]
  path = tmp_path / name
  path.write_bytes(content)
  read(path)  # Undamaged, it is read.
  read_or_refuse(path, data.draw(mutated(content)), read)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
@SETTINGS
@given(content=st.binary(max_size=200))
def test_random_bytes_are_read_or_refused(tmp_path, name, content):
  read, valid = CASES[name]
  path = tmp_path / name
  read_or_refuse(path, content, read)
  read_or_refuse(path, valid[:16] + content, read)  # Past a magic number.


@pytest.mark.filterwarnings("ignore")
@SETTINGS
@given(weights=mutated(KERAS_3), description=mutated(DESCRIPTION))
def test_damage_inside_an_archive_is_refused(tmp_path, weights, description):
  path = tmp_path / "model.keras"
  for content in (
    keras_zip(weights, DESCRIPTION),
    keras_zip(KERAS_3, description),
  ):
    read_or_refuse(path, content, keras_model.read_model)
