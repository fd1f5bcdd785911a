"""All commands in one process: each defines its flags when it is run."""

import importlib

import pytest
from absl import flags

from pattlite_jax.data import flags as data_flags
from pattlite_jax.data.source import DataChoice

COMMANDS = (
  "main",
  "evaluate",
  "audit.__main__",
  "release.__main__",
  "export.__main__",
  "page.__main__",
  "page.measure",
  "report.__main__",
  "report.run",
  "benchmark.__main__",
  "benchmark.on_faces",
  "benchmark.on_photos",
  "compile.__main__",
  "inspect",
  "pack",
  "predict.__main__",
  "predict.measure_cut",
  "weights.detector_port",
  "weights.keras_port",
)


def import_command(name):
  return importlib.import_module(f"pattlite_jax.{name}")


def test_importing_the_commands_defines_no_flag():
  for name in COMMANDS:
    import_command(name)
  ours = [name for name in flags.FLAGS.flags_by_module_dict() if "patt" in name]
  assert ours == []


def test_commands_that_share_a_flag_do_not_meet():
  given = {}
  for name in COMMANDS:
    values = flags.FlagValues()
    import_command(name).define_flags(values)
    given[name] = set(values)
  assert "dataset" in given["evaluate"] & given["pack"]
  assert "seed" in given["evaluate"] & given["report.run"]
  assert all(given.values())


@pytest.fixture
def parse():
  def parse(*arguments):
    values = flags.FlagValues()
    data_flags.define_data(values)
    values(["command", *arguments])
    return data_flags.data_choice(values)

  return parse


def test_the_flags_name_a_choice_of_data(parse):
  assert parse() == DataChoice(None, None, None)
  assert parse("--dataset=raf_db", "--data_dir=d", "--packed=f") == DataChoice(
    "raf_db", "d", "f"
  )
