"""Every field's values are checked, recipes are whole, old configs load."""

import json
import math
import pathlib
import re
import subprocess
import sys

import hypothesis
import pytest
from hypothesis import strategies as st

from pattlite_jax import config as config_lib
from pattlite_jax.config import FIELDS, Former
from pattlite_jax.config import files as config_files
from pattlite_jax.config.rules import Number, Path, Switch, Text, Words
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.weights import model_folder

ROOT = pathlib.Path(__file__).parent.parent


def fields_that_are(kind):
  return [n for n, field in FIELDS.items() if isinstance(field.allowed, kind)]


def a_run(**changes):
  """A config that passes, with changed values."""
  config = config_lib.get_config()
  config.stage1.epochs = 3
  with config.unlocked():
    config.update_from_flattened_dict(changes)
  return config


def refused(name, value):
  """Returns the line that refuses a value, whatever its type."""
  config = a_run().unlock()
  *sections, last = name.split(".")
  node = config
  for section in sections:
    node = node[section]
  with node.ignore_type():
    node[last] = value
  with pytest.raises(UserError) as error:
    config_lib.check(config)
  line = str(error.value)
  assert "\n" not in line
  assert line.startswith(f"config.{name} is {value!r}, but must be ")
  assert line.endswith(f"{FIELDS[name].allowed}.")
  return line


def test_the_defaults_pass_once_a_stage_has_epochs():
  config_lib.check(a_run())
  with pytest.raises(UserError, match=r"stage1.epochs.*stage2.epochs.*both 0"):
    config_lib.check(config_lib.get_config())


def test_every_default_is_allowed_and_of_the_type_that_flags_parse():
  for name, field in FIELDS.items():
    assert field.allowed.allows(field.default), name
    assert field.says.endswith("."), name
    if isinstance(field.allowed, Number):
      expected = int if field.allowed.whole else float
      assert type(field.default) is expected, name


@pytest.mark.parametrize("name", fields_that_are(Number))
def test_a_number_outside_its_range_is_refused(name):
  allowed = FIELDS[name].allowed
  kind = int if allowed.whole else float
  outside = [allowed.low - 1, -(10**9), math.nan, math.inf, -math.inf]
  if allowed.off:
    outside[0] = -1
  if allowed.above:
    outside.append(allowed.low)
  if allowed.high < math.inf:
    outside.append(allowed.high * 1.01 + 1)
  for value in outside:
    refused(name, kind(value) if math.isfinite(value) else value)
  for value in (None, "1"):
    refused(name, value)
  if allowed.whole:  # Elsewhere ConfigDict makes a float of True.
    refused(name, True)
    refused(name, allowed.low + 0.5)


@hypothesis.given(st.sampled_from(fields_that_are(Number)), st.floats())
def test_no_float_passes_that_its_range_does_not_hold(name, value):
  allowed = FIELDS[name].allowed
  passes = allowed.allows(value)
  if allowed.whole or not math.isfinite(value):
    assert not passes
  elif allowed.off and value == 0:
    assert passes
  elif allowed.above:
    assert passes == (allowed.low < value <= allowed.high)
  else:
    assert passes == (allowed.low <= value <= allowed.high)


@hypothesis.given(st.sampled_from(fields_that_are(Words)), st.text())
def test_an_unknown_word_is_refused(name, word):
  hypothesis.assume(word not in FIELDS[name].allowed.words)
  line = refused(name, word)
  for known in FIELDS[name].allowed.words:
    assert known in line


@pytest.mark.parametrize("name", fields_that_are(Switch))
def test_a_switch_is_true_or_false(name):
  for value in (0, 1, None, "True"):
    assert "must be True or False" in refused(name, value)


@pytest.mark.parametrize("name", fields_that_are(Text))
def test_a_text_is_no_none(name):
  for value in (None, "None", 3):
    refused(name, value)
  if not FIELDS[name].allowed.off:
    refused(name, "")


@pytest.mark.parametrize("name", fields_that_are(Path))
def test_a_path_is_no_address_of_a_page(name):
  assert "'https://x.org/d', but must be" in refused(name, "https://x.org/d")
  for value in ("gs://b/d", "~/d", "D:/d"):
    assert FIELDS[name].allowed.allows(value)


@pytest.mark.parametrize(
  ("name", "value"),
  [
    ("batch_size", 0),
    ("eval.batch_size", 0),
    ("eval.batch_size", -1),
    ("log_every_steps", -1),
    ("checkpoint_every_steps", -5),
    ("steps_per_dispatch", 0),
    ("global_clipnorm", -3.0),
    ("seed", -1),
    ("model.dtype", "bf16"),
    ("model.patch_stride", 0),
    ("model.image_size", 0),
    ("stage1.learning_rate", -1e-3),
    ("stage2.learning_rate", 0.0),
    ("stage1.epochs", -1),
    ("stage2.decay_epochs", -80.0),
    ("stage1.patience", -1),
    ("start_from", None),
    ("workdir", ""),
    ("stage1.weight_decay", math.nan),
    ("stage1.spatial_dropout", 1.0),
  ],
)
def test_values_that_passed_once_are_refused(name, value):
  refused(name, value)


@pytest.mark.parametrize(
  "name",
  ["global_clipnorm", "log_every_steps", "checkpoint_every_steps"],
)
def test_zero_is_off_where_that_has_a_meaning(name):
  config_lib.check(a_run(**{name: type(FIELDS[name].default)(0)}))


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"stage1.momentum": 0.9}, "optimizer=sgd, which is 'adam'"),
    (
      {"stage1.monitor": "last_epoch", "stage1.patience": 2},
      "patience is 2, but has no effect with config.stage1.monitor=last_epoch",
    ),
    ({"stage1.warmup_epochs": 1.0}, "schedule=cosine, which is 'by_epoch'"),
    (
      {"stage2.schedule": "cosine", "stage2.decay_epochs": 80.0},
      "decay_epochs is 80.0",
    ),
    (
      {"stage1.schedule": "cosine", "stage1.plateau_patience": 3},
      "plateau_patience is 3",
    ),
    (
      {"start_from": "ferplus", "model.trunk_weights": "f.safetensors"},
      "trunk_weights is 'f.safetensors', but has no effect",
    ),
    (
      {"model.trunk": "resnet18"},
      "'imagenet', but no weights of resnet18 come with the package",
    ),
    (
      {
        "model.trunk": "ir50",
        "model.trunk_weights": "random",
        "model.cut": "conv1",
      },
      "cut is 'conv1', but has no effect with config.model.trunk=ir50",
    ),
    (
      {
        "model.trunk": "ir50",
        "model.trunk_weights": "random",
        "model.stem_stride": 1,
      },
      "stem_stride is 1, but has no effect with config.model.trunk=ir50",
    ),
    (
      {"model.scaled_attention": True, "model.attention": "none"},
      "scaled_attention is True, but has no effect with.*attention=none",
    ),
    (
      {"model.patch_batch_norm": True, "model.patch_extraction": False},
      "patch_batch_norm is True, but has no effect with.*extraction=False",
    ),
    (
      {"stage1.logit_adjustment": 1.0, "data.sampling": "balanced"},
      "logit_adjustment is 1.0, but config.data.sampling=balanced shows",
    ),
    (
      {"stage2.class_weights": True, "data.sampling": "repeat_rare"},
      "class_weights is True, but config.data.sampling=repeat_rare shows",
    ),
    (
      {"method": "ldam_focal", "data.sampling": "balanced"},
      "ldam_focal weighs rare.*but config.data.sampling=balanced shows",
    ),
    ({"augment.erasing_min_area": 0.9}, "min_area is 0.9, but must not exceed"),
    (
      {"stage1.schedule": "cosine", "stage1.warmup_epochs": 3.0},
      r"stage1.warmup_epochs is 3.0, but must be less than.*epochs, 3",
    ),
    (
      {"method": "eac", "model.patch_stride": 2},
      "patch_stride is 2, but has no effect with config.method=eac.*at 4",
    ),
    (
      {"model.consistency_weight": 1.0},
      "consistency_weight is 1.0, but has no effect with.*pattlite.*by eac",
    ),
    (
      {"method": "ldam_focal", "stage1.class_weights": True},
      "class_weights is True, but has no effect with.*ldam_focal",
    ),
    (
      {"method": "label_correction", "data.soft_targets": True},
      "soft_targets is True, but has no effect with.*label_correction",
    ),
    (
      {"method": "label_correction"},
      "relabel_after_epochs is 10.0, but must be less than .* a stage, 3:",
    ),
    (
      {"data.label_noise": 0.2, "data.label_file": "noise01.txt"},
      "label_noise is 0.2, but the labels are those of .*'noise01.txt'",
    ),
    (
      {"data.label_noise": 0.2, "data.soft_targets": True},
      "label_noise is 0.2, but has no effect with config.data.soft_targets",
    ),
    (
      {"method": "label_correction", "data.au_file": "au.csv"},
      "au_file is 'au.csv' and config.model.action_units is ''; set both",
    ),
    (
      {"method": "apvit", "model.width": 100},
      "width is 100, but must be a multiple of config.model.heads, 8",
    ),
    (
      {"method": "ldam_focal", "model.balanced_from": 0.9},
      "balanced_from is 0.9, but must not exceed .*balanced_by, 0.8",
    ),
  ],
)
def test_values_that_would_do_nothing_are_refused(changes, message):
  with pytest.raises(UserError, match=message):
    config_lib.check(a_run(**changes))


def test_a_refused_method_names_its_recipes():
  with pytest.raises(UserError, match="eac: --config=fer2013_eac") as caught:
    config_lib.check(a_run(**{"method": "eac", "model.patch_stride": 2}))
  names = re.findall("--config=([a-z0-9_]+)", str(caught.value))
  assert {config_files.load(name).method for name in names} == {"eac"}


def test_a_method_reads_its_own_fields():
  config_lib.check(a_run(**{"method": "eac", "model.consistency_weight": 1.0}))
  config_lib.check(a_run(**{"model.patch_stride": 2}))


def test_a_misspelt_field_suggests_the_right_one():
  config = config_lib.get_config()
  with pytest.raises(AttributeError, match="learning_rate"):
    config.stage1.lerning_rate = 1.0


def test_a_config_of_other_fields_is_refused():
  config = a_run().unlock()
  config.stage1.epoch = 3
  with pytest.raises(UserError, match=r"no config.stage1.epoch.*1.epochs\?"):
    config_lib.check(config)
  config = a_run().unlock()
  del config.eval
  with pytest.raises(UserError, match=r"config.eval.batch_size is missing"):
    config_lib.check(config)


@pytest.fixture(params=config_files.names())
def recipe(request):
  return request.param


def test_each_recipe_passes_has_every_field_and_gives_its_command(recipe):
  config = config_files.load(recipe)
  config_lib.check(config)
  assert config.is_locked
  text = (ROOT / f"configs/{recipe}.py").read_text()
  assert f"python -m pattlite_jax.main --config configs/{recipe}.py" in text
  assert config.workdir == f"runs/{recipe}"


@pytest.mark.parametrize("name", ["fer2013", "ferplus", "raf_db", "ck_plus"])
def test_the_recipe_is_the_published_one(name):
  config = config_files.load(name)
  assert (config.batch_size, config.global_clipnorm) == (8, 3.0)
  assert (config.augment.random_flip, config.augment.random_contrast) == (
    True,
    0.3,
  )
  one, two = config.stage1, config.stage2
  assert (one.epochs, one.learning_rate, one.patience) == (100, 1e-3, 5)
  assert (one.plateau_patience, one.plateau_factor) == (3, 0.1)
  assert (one.min_learning_rate, one.min_delta) == (1e-6, 0.003)
  assert (one.pooled_dropout, one.spatial_dropout) == (0.1, 0.0)
  assert (one.class_weights, two.class_weights) == (True, False)
  assert (one.monitor, two.monitor) == ("val_accuracy", "train_accuracy")
  assert (two.epochs, two.learning_rate, two.patience) == (500, 1e-5, 20)
  assert (two.decay_epochs, two.min_delta) == (80.0, 0.003)
  rates = (two.spatial_dropout, two.pooled_dropout, two.attended_dropout)
  assert rates == (0.2, 0.2, 0.2)
  for stage in (one, two):
    assert (stage.trunk, stage.trunk_statistics) == ("frozen", "imagenet")
    assert (stage.optimizer, stage.schedule) == ("adam", "by_epoch")
  assert (config.eval.batch_size, config.eval.order) == (32, "class_sorted")


def test_a_checkpoint_without_fields_had_the_recipe_of_its_time():
  """Defaults were the published recipe once; runs kept only what was there."""
  old = config_lib.upgrade({})
  published = config_files.load("fer2013").to_dict()
  published |= {"workdir": old["workdir"], "data": old["data"]}
  assert old == published
  assert old["data"] == config_lib.get_config().data.to_dict()


@pytest.mark.parametrize("name", model_folder.shipped())
def test_a_shipped_config_loads_with_its_own_values(name):
  path = model_folder.find(name) / model_folder.CONFIG
  fields = json.loads(path.read_text())["config"]
  loaded = config_lib.flat(config_lib.from_checkpoint(fields).to_dict())
  assert loaded.keys() == FIELDS.keys()  # What has gone did nothing.
  for field, value in config_lib.flat(fields).items():
    assert field in config_lib.FORMER or loaded[field] == value
  assert loaded["method"] == "pattlite"


def test_a_field_that_has_gone_stays_where_it_did_something():
  fields = {"mixing": {"mixup_alpha": 0.2, "cutmix_alpha": 0.0}}
  upgraded = config_lib.upgrade(fields)
  assert upgraded["mixing"] == {"mixup_alpha": 0.2}
  assert config_lib.from_checkpoint(fields).mixing.mixup_alpha == 0.2


def test_a_renamed_field_keeps_its_value_and_is_named_in_the_error():
  former = {"images_a_step": Former(now="batch_size")}
  assert config_lib.upgrade({"images_a_step": 5}, former)["batch_size"] == 5
  with pytest.raises(UserError, match=r"it is called config.batch_size now"):
    config_files.arguments(["main", "--config.images_a_step=5"], former)


def test_a_checkpoint_with_unknown_or_wrong_fields_is_refused():
  for fields, message in (
    ({"stage1": 3}, r"no config.stage1, which is 3.*newer version, or broken"),
    ({"seed": {"a": 1}}, "no config.seed.a"),
    ({"model": {"walls": 4}}, "no config.model.walls, which is 4"),
    ({"batch_size": "8"}, "config.batch_size is '8', but must be a whole"),
  ):
    with pytest.raises(UserError, match=message):
      config_lib.from_checkpoint(fields)


def test_a_bare_name_is_a_recipe_and_a_path_is_a_file(tmp_path, monkeypatch):
  own = tmp_path / "own.py"
  own.write_text((ROOT / "configs/raf_db.py").read_text())
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv("HOME", str(tmp_path))
  recipe = str(config_files.find("fer2013"))
  assert pathlib.Path(recipe).samefile(ROOT / "configs/fer2013.py")
  for given, found in (
    (["--config=fer2013"], [f"--config={recipe}"]),
    (["--config", "fer2013"], ["--config", recipe]),
    (["--config=own.py"], ["--config=own.py"]),
    (["--config=~/own.py", "--help"], [f"--config={own}", "--help"]),
    (["--noconfig.data.download"], ["--noconfig.data.download"]),
  ):
    assert config_files.arguments(["main", *given]) == ["main", *found]
  assert config_files.load("~/own.py").data.name == "raf_db"
  with pytest.raises(MissingFileError) as error:
    config_files.arguments(["main", "--config=fer2031"])
  for name in ("'fer2031'", *config_files.names()):
    assert name in str(error.value)


def test_a_flag_of_a_field_that_is_not_there_says_what_is():
  for flag, message in (
    ("--config.stage1.epoch=3", r"Did you mean config.stage1.epochs\?"),
    ("--config.mixing.mixup_alpha=0.2", "any more: what it did was taken out"),
    ("--noconfig.data.downlod", r"Did you mean config.data.download\?"),
  ):
    with pytest.raises(UserError, match=message):
      config_files.arguments(["main", flag])


def test_the_table_is_printed_and_needs_no_library():
  code = (
    "import runpy, sys\n"
    "runpy.run_module('pattlite_jax.config', run_name='__main__')\n"
    "import pattlite_jax.config.files\n"
    "heavy = {'jax', 'flax', 'tensorflow', 'optax', 'numpy'}\n"
    "assert not heavy & sys.modules.keys()"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  for name, field in FIELDS.items():
    assert f"config.{name}={field.default!r}\n" in done.stdout


def test_a_users_own_configs_break_nothing(tmp_path):
  (tmp_path / "configs").mkdir()
  (tmp_path / "configs/__init__.py").write_text("raise RuntimeError")
  (tmp_path / "config.py").write_text("raise RuntimeError")
  code = (
    "import pattlite_jax\n"
    "assert pattlite_jax.load('fer2013').network.config.method == 'pattlite'"
  )
  done = subprocess.run(
    [sys.executable, "-c", code],
    cwd=tmp_path,
    env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "JAX_PLATFORMS": "cpu"},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
