"""One process at a time trains in a folder."""

import os
import signal
import subprocess
import sys

import pytest

from pattlite_jax.runtime import parallel
from pattlite_jax.runtime.errors import FileError
from pattlite_jax.training import workdir

HOLD = """
import sys, time
from pattlite_jax.training import workdir
with workdir.held(sys.argv[1]):
  print("held", flush=True)
  time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
  """Another process that holds `tmp_path`."""
  process = subprocess.Popen(
    [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE
  )
  assert process.stdout.readline() == b"held\n"
  yield process
  process.kill()
  process.wait()


def test_a_second_process_is_refused_until_the_first_dies(holder, tmp_path):
  with (
    pytest.raises(FileError) as caught,
    workdir.held(str(tmp_path)),
  ):
    pass
  message = str(caught.value)
  assert "\n" not in message
  for part in (str(tmp_path), f"process {holder.pid} on ", " since 20", "UTC"):
    assert part in message
  holder.send_signal(signal.SIGKILL)
  holder.wait()
  with workdir.held(str(tmp_path)):
    pass


def test_a_folder_is_free_again_after_an_error(tmp_path):
  with pytest.raises(KeyError), workdir.held(str(tmp_path / "run")):
    raise KeyError
  with workdir.held(str(tmp_path / "run")):
    pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
  (tmp_path / "file").write_text("")
  path = str(tmp_path / "file/run")
  message = r"file/run cannot be written to.*--config.workdir"
  with pytest.raises(OSError, match=message), workdir.held(path):
    pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_line(tmp_path):
  tmp_path.chmod(0o555)
  message = r"cannot be written to.*--config.workdir"
  with (
    pytest.raises(PermissionError, match=message),
    workdir.held(str(tmp_path)),
  ):
    pass


def test_other_hosts_need_no_lock(holder, tmp_path, monkeypatch):
  monkeypatch.setattr(parallel, "is_writer", lambda: False)
  with workdir.held(str(tmp_path)):
    pass


def test_a_file_system_without_locks_gives_a_warning(
  tmp_path, monkeypatch, caplog
):
  def flock(file, how):
    raise OSError(38, "Function not implemented")

  monkeypatch.setattr(workdir.fcntl, "flock", flock)
  with workdir.held(str(tmp_path)):
    assert "does not support it" in caplog.text


def test_a_bucket_has_no_lock_and_no_local_folder(monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  made = []
  monkeypatch.setattr(
    workdir.epath, "Path", lambda path: made.append(path) or tmp_path
  )
  with workdir.held("gs://bucket/run"):
    pass
  assert made == ["gs://bucket/run"]
  assert not list(tmp_path.iterdir())
