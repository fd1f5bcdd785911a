"""Commands end on a user's error with one line, on others with a traceback."""

import jax
import pytest

from pattlite_jax.data import flags as data_flags
from pattlite_jax.runtime import errors


@pytest.mark.parametrize(
  "kind", [errors.UserError, errors.FileError, errors.MissingFileError]
)
def test_an_error_that_a_user_can_mend_is_one_line(kind, capsys):
  with pytest.raises(SystemExit) as caught, errors.in_one_line():
    raise kind("No faces in F.")
  assert caught.value.code == 1
  assert capsys.readouterr().err == "Error: No faces in F.\n"


@pytest.mark.parametrize(
  ("flags", "ending"),
  [
    (data_flags.OF_COMMANDS, " The flag is --data_dir=<folder>."),
    ({"data.dir": "--config.data.dir=F"}, " The flag is --config.data.dir=F."),
    ({"data.name": "--dataset=<name>"}, ""),
    (None, ""),
  ],
)
def test_a_command_adds_its_own_flag_for_the_setting(flags, ending, capsys):
  with pytest.raises(SystemExit) as caught, errors.in_one_line(flags, status=2):
    raise errors.MissingFileError("No faces in F.", setting="data.dir")
  assert caught.value.code == 2
  assert capsys.readouterr().err == f"Error: No faces in F.{ending}\n"


def test_an_error_without_a_setting_names_no_flag(capsys):
  with pytest.raises(SystemExit), errors.in_one_line(data_flags.OF_COMMANDS):
    raise errors.UserError("No.")
  assert capsys.readouterr().err == "Error: No.\n"


def test_errors_within_a_setting_keep_their_own():
  for own, expected in ((None, "start_from"), ("data.dir", "data.dir")):
    with pytest.raises(errors.UserError) as caught, errors.about("start_from"):
      raise errors.UserError("No.", setting=own)
    assert caught.value.setting == expected
  with pytest.raises(KeyError), errors.about("start_from"):
    raise KeyError("x")


def test_what_the_system_says_of_a_file_is_one_line(tmp_path, capsys):
  with pytest.raises(SystemExit), errors.in_one_line():
    (tmp_path / "none").read_text()
  error = capsys.readouterr().err
  assert error.startswith("Error: [Errno 2] No such file or directory")
  assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["tensorflow", "tensorflow_datasets", "h5py"])
def test_a_missing_package_of_training_is_one_line(name, capsys):
  with pytest.raises(SystemExit) as caught, errors.in_one_line():
    raise ModuleNotFoundError(f"No module named {name!r}", name=name)
  assert caught.value.code == 1
  assert capsys.readouterr().err == (
    f"Error: This command needs {name}. "
    'Install it with: pip install "pattlite-jax[train]"\n'
  )


def _import_of_ours():
  import pattlite_jax.no_such_module  # noqa: F401


def _import_inside_tensorflow():
  raise ModuleNotFoundError("No module", name="tensorflow.no_such_module")


def _unpack():
  height, width = (1, 2, 3)
  return height, width


def _open():
  raise OSError("a library's word for a wrong call")


@pytest.mark.parametrize(
  "mistake",
  [
    _import_inside_tensorflow,
    _import_of_ours,
    _open,
    _unpack,
    lambda: {}["x"],
  ],
)
def test_a_mistake_of_the_program_keeps_its_traceback(mistake, capsys):
  with pytest.raises(SystemExit) as caught, errors.in_one_line(status=2):
    mistake()
  assert caught.value.code == 2
  assert "Traceback" in capsys.readouterr().err


def test_nothing_happens_without_an_error_or_on_an_exit():
  with errors.in_one_line():
    pass
  with pytest.raises(SystemExit) as caught, errors.in_one_line():
    raise SystemExit(75)
  assert caught.value.code == 75


@pytest.mark.parametrize(
  "text",
  [
    "UNKNOWN: Gloo context initialization failed: DEADLINE_EXCEEDED: "
    "GetKeyValue() timed out with key: cpu:gloo/0,2048/1",
    "UNKNOWN: Gloo all-reduce failed: Read error: Connection closed by peer",
    "The following tasks are unhealthy (stopped sending heartbeats)",
  ],
)
def test_a_host_that_has_gone_is_one_line(text, capsys):
  with pytest.raises(SystemExit), errors.in_one_line():
    raise jax.errors.JaxRuntimeError(f"{text}\nSecond line.")
  error = capsys.readouterr().err
  assert error.startswith("Error: Another host of this run was killed")
  assert error.count("\n") == 1


def test_other_errors_of_jax_keep_their_traceback(capsys):
  with pytest.raises(SystemExit), errors.in_one_line():
    raise jax.errors.JaxRuntimeError("INTERNAL: Out of memory.")
  assert "Traceback" in capsys.readouterr().err
