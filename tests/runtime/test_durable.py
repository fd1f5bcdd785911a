"""A file is the old one or the new one, whatever happens in between."""

import os

import numpy as np
import pytest
from etils import epath
from power_cut import PowerCuts, restore

from pattlite_jax.runtime import durable
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.weights import model_folder


def disks_of(root, monkeypatch, write):
  """Returns the disks that a power cut may leave while `write()` runs."""
  cuts = PowerCuts(root)
  with cuts.watched(monkeypatch):
    write()
  return list(cuts.disks.values())


def test_a_power_cut_leaves_the_old_text_or_the_new(tmp_path, monkeypatch):
  root = tmp_path / "disk"
  root.mkdir()
  (root / "result.json").write_text("old")
  found = disks_of(
    root,
    monkeypatch,
    lambda: durable.write_text(root / "result.json", "new"),
  )
  texts = [disk["result.json"] for disk in found]
  assert set(texts) == {b"old", b"new"}
  assert (root / "result.json").read_bytes() == b"new"


def test_when_it_returns_the_file_is_on_the_disk(tmp_path, monkeypatch):
  root = tmp_path / "disk"
  root.mkdir()
  cuts = PowerCuts(root)
  with cuts.watched(monkeypatch):
    durable.write_text(root / "result.json", "new")
    cuts.disks.clear()
  assert [disk["result.json"] for disk in cuts.disks.values()] == [b"new"]


def test_a_power_cut_leaves_no_released_weights_with_another_config(
  tmp_path, monkeypatch
):
  def write(number):
    variables = {"params": {"bias": np.full(3, number, np.float32)}}
    model_folder.write(root / "model", variables, {"number": number})

  root = tmp_path / "disk"
  root.mkdir()
  write(1)
  seen = set()
  for index, disk in enumerate(disks_of(root, monkeypatch, lambda: write(2))):
    restore(disk, tmp_path / str(index))
    try:
      variables, described = model_folder.read(
        epath.Path(tmp_path / str(index) / "model")
      )
    except UserError:  # Between the two there may be no network, and says so.
      seen.add(None)
      continue
    assert variables["params"]["bias"][0] == described["number"]
    seen.add(described["number"])
  assert seen == {1, None, 2}


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
  path = tmp_path / "f"
  path.write_text("old")

  def fail(descriptor):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(os, "fsync", fail)
  with pytest.raises(OSError, match="No space"):
    durable.write_text(path, "new")
  assert [p.name for p in tmp_path.iterdir()] == ["f"]
  assert path.read_text() == "old"


def test_a_link_stays_one_and_a_device_is_written_to(tmp_path):
  (tmp_path / "real").write_text("old")
  (tmp_path / "link").symlink_to(tmp_path / "real")
  durable.write_text(tmp_path / "link", "new")
  assert (tmp_path / "link").is_symlink()
  assert (tmp_path / "real").read_text() == "new"
  os.mkfifo(tmp_path / "pipe")
  reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
  durable.write_text(tmp_path / "pipe", "new")
  assert os.read(reader, 10) == b"new"
  os.close(reader)


def test_a_path_is_of_this_machine_or_of_a_bucket():
  assert durable.is_local("runs/a") and durable.is_local(epath.Path("/a"))
  assert not durable.is_local("gs://bucket/a")
  assert durable.named("~/a.json") == epath.Path("~/a.json").expanduser()
  for look in (durable.is_local, durable.named):
    with pytest.raises(UserError, match=r"^https://x.org/a is neither of this"):
      look("https://x.org/a")
