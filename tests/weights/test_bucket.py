"""Workdirs and data on gs://, where a local folder stands in for the bucket.

TensorFlow's file calls and TensorStore's files are led to that folder; all that
is between them and the code here, in epath and Orbax, is as for a real bucket.
"""

import dataclasses
import functools
import json

import jax
import numpy as np
import pytest
import tensorflow as tf
import test_ck_plus
import test_fer2013
import test_ferplus
import test_raf_db
from etils import epath
from etils.epath import backend
from orbax.checkpoint._src.path import gcs_utils

from pattlite_jax import trained
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.data import load as load_lib
from pattlite_jax.data import pipeline, streamed, user_files
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.training import log, loop, preflight
from pattlite_jax.weights import checkpoint


class StoppedError(Exception):
  """Ends a run in the middle."""


class Gfile:
  """`tf.io.gfile` where gs:// is a folder."""

  def __init__(self, folder):
    self.folder = f"{folder}/"

  def __getattr__(self, name):
    function = getattr(tf.io.gfile, name)

    def call(*args, **kwargs):
      found = function(*map(self._to_local, args), **kwargs)
      return map(self._from_local, found) if name == "glob" else found

    return call

  def _to_local(self, argument):
    text = str(argument)
    is_remote = text.startswith("gs://")
    return text.replace("gs://", self.folder) if is_remote else argument

  def _from_local(self, path):
    return path.replace(self.folder, "gs://")


@pytest.fixture
def bucket(tmp_path, monkeypatch):
  folder = tmp_path / "buckets"
  (folder / "faces").mkdir(parents=True)

  def kvstore(path):
    return {"driver": "file", "path": path.replace("gs://", f"{folder}/")}

  monkeypatch.setattr(
    type(backend.tf_backend), "gfile", property(lambda self: Gfile(folder))
  )
  monkeypatch.setattr(gcs_utils, "get_kvstore_for_gcs", kvstore)
  monkeypatch.setattr(
    gcs_utils, "is_hierarchical_namespace_enabled", lambda path: False
  )
  return folder / "faces"


@pytest.mark.slow
def test_a_run_goes_on_and_is_loaded_from_a_bucket(
  bucket, small_config, make_examples, monkeypatch, tmp_path
):
  monkeypatch.chdir(tmp_path)
  small_config.workdir = "gs://faces/runs/a"
  small_config.stage2.epochs = 0
  small_config.stage1.epochs = 4
  splits = {name: make_examples(9) for name in ("train", "validation", "test")}

  def stop(step):
    if step == 8:
      raise StoppedError

  def fit(*hooks):
    return loop.fit(
      small_config, splits, pipeline.train_batches, log.Log(), hooks
    )

  with pytest.raises(StoppedError):
    fit(stop)
  result = fit()
  run = bucket / "runs/a"
  assert json.loads((run / "result.json").read_text()) == result
  assert (run / "pictures/curves.png").stat().st_size > 1000
  steps = sorted(int(path.name) for path in (run / "checkpoints").iterdir())
  assert steps == [9, 12]
  network = trained.load("gs://faces/runs/a")
  assert network.class_names == splits["train"].class_names
  jax.tree.map(
    np.testing.assert_array_equal,
    network.variables,
    checkpoint.restore("gs://faces/runs/a/checkpoints/12", ["best"])["best"],
  )
  # Nothing went to a local folder of that name.
  assert [path.name for path in tmp_path.iterdir()] == ["buckets"]


def test_the_preflight_writes_its_token_to_the_bucket(bucket):
  token = epath.Path("gs://faces/token")
  assert not token.exists()
  token.write_text("seen")
  assert (bucket / "token").read_text() == "seen"
  assert preflight._shows_up(token)
  token.unlink()
  assert not (bucket / "token").exists()


@pytest.mark.parametrize(
  ("name", "write"),
  [
    ("fer2013", test_fer2013.write_folders),
    ("ferplus/majority", test_ferplus.write_files),
    ("raf_db", test_raf_db.write_set),
    (
      "ck_plus",
      functools.partial(test_ck_plus.write_official, with_landmarks=True),
    ),
    ("ck_plus", test_ck_plus.write_ck48),
  ],
)
def test_data_come_from_a_bucket_as_from_a_folder(
  bucket, tmp_path, name, write
):
  write(bucket)

  def load(data_dir):
    prepared_dir = f"{tmp_path}/{data_dir.replace('/', '_')}"
    return load_lib.load_splits(
      name, data_dir=data_dir, prepared_dir=prepared_dir, image_size=24
    )

  here, there = load(str(bucket)), load("gs://faces")
  assert sum(map(len, there.values())) > 0
  assert here.keys() == there.keys()
  for split, examples in there.items():
    assert examples_lib.fingerprint(examples) == examples_lib.fingerprint(
      here[split]
    )


def test_images_are_read_from_a_prepared_copy_in_a_bucket(bucket, tmp_path):
  test_raf_db.write_set(tmp_path)
  here = load_lib.load_splits(
    "raf_db",
    data_dir=str(tmp_path),
    prepared_dir=f"{bucket}/copies",
    image_size=24,
    memory_gb=1e-9,
  )["train"].images
  folder = here.index.folder.replace(str(bucket), "gs://faces")
  there = streamed.of_index(
    dataclasses.replace(here.index, folder=folder), here.image_shape, channels=3
  )
  rows = np.arange(len(here))[::-1]
  np.testing.assert_array_equal(there[rows], here[rows])
  np.testing.assert_array_equal(there.digests(), here.digests())


def test_a_missing_file_in_a_bucket_is_named(bucket, tmp_path):
  with pytest.raises(FileNotFoundError, match=r"gs://faces \(fer2013.csv"):
    load_lib.require_files("fer2013", "gs://faces")
  with pytest.raises(UserError, match=r"local folder.*gs://faces"):
    load_lib.load_splits(
      "fer2013",
      data_dir="gs://faces",
      prepared_dir=str(tmp_path),
      image_size=24,
      download=True,
    )


def test_a_changed_file_in_a_bucket_changes_the_fingerprint(bucket):
  (bucket / "a.csv").write_text("one")
  folder = user_files.folder("gs://faces")
  before = user_files.fingerprint(folder, [folder / "a.csv"])
  assert user_files.fingerprint(folder, [folder / "a.csv"]) == before
  (bucket / "a.csv").write_text("three")
  assert user_files.fingerprint(folder, [folder / "a.csv"]) != before
