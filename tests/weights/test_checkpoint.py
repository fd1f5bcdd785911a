"""What is saved comes back as it was, or not at all."""

import itertools
import logging
import os
import pathlib
import random
import resource
import shutil
import sys

import flax.struct
import numpy as np
import pytest
from etils import epath
from small_run import fit, saved_best

from pattlite_jax.runtime.errors import FileError, MissingFileError
from pattlite_jax.weights import checkpoint, checkpoint_items, digests

RNG = np.random.default_rng(0)
ITEMS = ("state", "best", "progress", "config")


@flax.struct.dataclass
class State:
  step: int
  params: dict


def contents(step):
  kernel = RNG.normal(size=(64, 512)).astype(np.float32)  # A file of its own.
  return {
    "state": State(np.int32(step), {"kernel": kernel, "none": None}),
    "best": {"params": {"bias": np.arange(3, dtype=np.float32)}},
    "progress": {"history": [{"loss": 0.1 + step, "stage": "stage1"}]},
    "config": {"config": {"seed": 3}, "class_names": ["a", "b"]},
  }


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  """A workdir with steps 4 and 8, and what was saved as each."""
  workdir = tmp_path_factory.mktemp("run")
  steps = {step: contents(step) for step in (4, 8)}
  with checkpoint.open_manager(workdir) as manager:
    for step, items in steps.items():
      checkpoint.save(manager, step, **items)
    checkpoint.wait(manager)
  return workdir, steps


@pytest.fixture
def copy(saved, tmp_path):
  """The same in a folder that a test may damage."""
  shutil.copytree(saved[0], tmp_path, dirs_exist_ok=True)
  return tmp_path


def is_saved(items, expected):
  state = checkpoint_items.fill(expected["state"], items["state"])
  return (
    state.step == expected["state"].step
    and np.array_equal(
      state.params["kernel"], expected["state"].params["kernel"]
    )
    and np.array_equal(
      items["best"]["params"]["bias"], expected["best"]["params"]["bias"]
    )
    and items["progress"] == expected["progress"]
    and items["config"] == expected["config"]
  )


def newest(workdir):
  with checkpoint.open_manager(workdir) as manager:
    return checkpoint.restore_newest(manager, ITEMS)


def files_of(folder):
  return sorted(path for path in folder.rglob("*") if path.is_file())


def delete(path, rng):
  path.unlink()


def truncate(path, rng):
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path, rng):
  data = bytearray(path.read_bytes())
  data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
  path.write_bytes(data)


def array_file(step_folder):
  """The file that holds most of the state's arrays."""
  files = files_of(step_folder / "state")
  return max(files, key=lambda path: path.stat().st_size)


def test_the_newest_step_comes_back_as_saved(saved):
  step, items = newest(saved[0])
  assert step == 8
  assert is_saved(items, saved[1][8])


@pytest.mark.parametrize("damage", [delete, truncate, flip])
def test_damage_to_any_file_is_noticed_or_harmless(saved, tmp_path, damage):
  """Some files are copies that nothing reads; all others must be missed."""
  rng = random.Random(damage.__name__)
  source = saved[0] / checkpoint.FOLDER
  noticed = 0
  for number, path in enumerate(files_of(source / "8")):
    workdir = tmp_path / str(number)
    shutil.copytree(source, workdir / checkpoint.FOLDER)
    damage(workdir / checkpoint.FOLDER / path.relative_to(source), rng)
    step, items = newest(workdir)
    assert is_saved(items, saved[1][step]), path
    noticed += step == 4
  assert noticed >= 6


@pytest.mark.parametrize("damage", [delete, truncate, flip])
def test_a_damaged_step_is_named_and_the_one_before_used(
  copy, saved, damage, caplog
):
  step_folder = copy / checkpoint.FOLDER / "8"
  damage(array_file(step_folder), random.Random(0))
  with caplog.at_level(logging.WARNING):
    step, items = newest(copy)
  assert step == 4 and is_saved(items, saved[1][4])
  assert str(step_folder) in caplog.text
  assert "step 4 instead" in caplog.text


def test_a_changed_figure_of_the_progress_is_noticed(copy, saved):
  path = copy / checkpoint.FOLDER / "8/progress/metadata"
  path.write_text(path.read_text().replace("8.1", "8.2"))
  assert newest(copy)[0] == 4


def test_a_half_written_step_is_none(copy):
  folder = copy / checkpoint.FOLDER
  shutil.copytree(folder / "8", folder / "12.orbax-checkpoint-tmp")
  assert newest(copy)[0] == 8
  with checkpoint.open_manager(copy, exclusive=True) as manager:
    checkpoint.save(manager, 16, **contents(16))
  assert {path.name for path in folder.iterdir()} == {"8", "16"}


def test_without_a_usable_step_it_is_an_error(copy):
  for step in ("4", "8"):
    flip(array_file(copy / checkpoint.FOLDER / step), random.Random(0))
  with pytest.raises(checkpoint.DamagedError) as caught:
    newest(copy)
  for part in (str(copy), "/4", "/8", "another workdir"):
    assert part in str(caught.value)
  assert caught.value.setting == "workdir"


def test_a_damaged_step_is_set_aside_and_saved_again(copy):
  flip(array_file(copy / checkpoint.FOLDER / "8"), random.Random(0))
  before = array_file(copy / checkpoint.FOLDER / "8").read_bytes()
  again = contents(8)
  with checkpoint.open_manager(copy) as manager:
    checkpoint.set_newer_aside(manager, 4)
    assert manager.all_steps() == [4]
    checkpoint.save(manager, 8, **again)
  step, items = newest(copy)
  assert step == 8 and is_saved(items, again)
  aside = copy / checkpoint.DAMAGED_FOLDER / "8"
  assert array_file(aside).read_bytes() == before


def test_commands_take_the_step_before_a_damaged_one(copy, saved):
  (copy / checkpoint.FOLDER / "8/progress/metadata").write_text("{}")
  items = checkpoint.restore(copy, ITEMS)
  # All of one step, though only this item of the newer one is damaged.
  assert is_saved(items, saved[1][4])
  with pytest.raises(checkpoint.DamagedError, match="8/progress"):
    checkpoint.restore(copy / checkpoint.FOLDER / "8", ["progress"])


def test_digests_of_another_kind_are_damage(copy):
  path = copy / checkpoint.FOLDER / "8/digests/metadata"
  for content in ("[]", "{}", "3"):
    path.write_text(content)
    with pytest.raises(checkpoint.DamagedError, match="not what was saved"):
      checkpoint.restore(copy / checkpoint.FOLDER / "8", ["best"])


CHANGED = (
  {"a": {"c": np.arange(6.0)}},  # Another name.
  {"a": {"b": np.arange(6.0).reshape(2, 3)}},  # Another shape.
  {"a": {"b": np.arange(6.0).reshape(6, 1)}},
  {"a": {"b": np.arange(6.0).view(np.int64)}},  # Another dtype, equal bytes.
  {"a": {"b": np.arange(6.0) + np.eye(6)[5]}},  # Another number.
  {"a": {"b": np.arange(6.0), "c": np.zeros(0)}},  # One more, of no bytes.
  {"a": {}},
)


@pytest.mark.parametrize("number", range(len(CHANGED)))
def test_a_digest_tells_what_the_arrays_are(number):
  original = {"a": {"b": np.arange(6.0)}}
  same = {"a": {"b": np.arange(6.0)[::-1][::-1]}}
  assert digests.of_arrays(original) == digests.of_arrays(same)
  assert digests.of_arrays(CHANGED[number]) != digests.of_arrays(original)


def test_a_digest_tells_which_array_is_which():
  a, b = np.arange(3.0), np.arange(3.0) + 1
  swapped = digests.of_arrays({"x": b, "y": a})
  assert digests.of_arrays({"x": a, "y": b}) != swapped
  assert digests.of_json({"a": (1, 2)}) == digests.of_json({"a": [1, 2]})
  assert digests.of_json({"a": [1, 2]}) != digests.of_json({"a": [2, 1]})
  assert digests.of_json({"a": 1}) != digests.of_json({"b": 1})


def test_arrays_that_would_fill_the_memory_are_refused(tmp_path):
  """All zeros, an array of any size takes no place on the disk."""
  best = {"params": {"bias": np.zeros(3, np.float32)}}
  with checkpoint.open_manager(tmp_path) as manager:
    checkpoint.save(manager, 4, **(contents(4) | {"best": best}))
    checkpoint.wait(manager)
  step = tmp_path / checkpoint.FOLDER / "4"
  with pytest.raises(checkpoint.DamagedError, match="bytes, at most 11 are"):
    checkpoint_items.require_possible(
      epath.Path(step), ["progress", "best"], max_bytes=11
    )
  checkpoint_items.require_possible(
    epath.Path(step), ["progress", "best"], max_bytes=10_000
  )
  with (step / "progress/metadata").open("r+b") as file:
    file.truncate(5 * 10**9)
  with pytest.raises(checkpoint.DamagedError, match="more than 4,000,000,000"):
    checkpoint.restore(step, ["best"])


def test_a_folder_with_a_network_takes_no_other(copy, small_config):
  folder = copy / checkpoint.FOLDER
  with pytest.raises(FileError, match=rf"^{folder} holds step 8 of another"):
    checkpoint.save_best(copy, {"params": {}}, small_config, ("a", "b"))


def test_a_step_that_was_deleted_while_it_was_read_is_named(copy):
  folder = epath.Path(copy) / checkpoint.FOLDER
  with pytest.raises(MissingFileError, match=rf"^{folder}/12 was deleted"):
    checkpoint._read_step(folder, 12, ITEMS)


def test_a_pipe_in_a_checkpoint_is_not_waited_for(copy):
  path = copy / checkpoint.FOLDER / "8/progress/metadata"
  path.unlink()
  os.mkfifo(path)
  with pytest.raises(checkpoint.DamagedError, match="is no plain file"):
    checkpoint.restore(copy / checkpoint.FOLDER / "8", ["progress"])


@pytest.mark.parametrize("name", ["²", "٣", "8a", "-8", "1e3"])
def test_a_folder_with_a_name_like_a_number_is_no_step(copy, name):
  shutil.copytree(
    copy / checkpoint.FOLDER / "8", copy / checkpoint.FOLDER / name
  )
  assert not checkpoint.is_there(copy / checkpoint.FOLDER / name)
  assert newest(copy)[0] == 8


@pytest.mark.parametrize(
  ("like", "message"),
  [
    ({"a": np.zeros(3)}, r"shape of a is \(2,\) there and \(3,\) here"),
    ({"b": np.zeros(2)}, r"shape of a is \(2,\) there and None here"),
  ],
)
def test_arrays_of_another_network_are_an_error(like, message):
  with pytest.raises(ValueError, match=message):
    checkpoint_items.fill(like, {"a": np.zeros(2)})


def test_a_save_that_fails_in_the_background_is_an_error(copy, saved, tmp_path):
  """As on a full disk; what was saved before stays."""
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  manager = checkpoint.open_manager(copy)
  try:
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    checkpoint.save(manager, 12, **contents(12))
    with pytest.raises(OSError, match=r"could not be written.*File too large"):
      checkpoint.wait(manager)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    manager.close()
  step, items = newest(copy)
  assert step == 8 and is_saved(items, saved[1][8])


class GoesOn:
  """A training that saves two steps when a reader opens its n-th file."""

  def __init__(self, workdir, opened):
    self.folder = workdir / checkpoint.FOLDER
    self.waits_for = opened
    self.is_done = False
    self._aside = workdir / "saved_later"
    for old, new in (("4", "12"), ("8", "16")):
      shutil.copytree(self.folder / old, self._aside / new)

  def __call__(self, event, arguments):
    if event not in ("open", "os.scandir", "os.listdir") or self.is_done:
      return
    if str(self.folder) in str(arguments[0]):
      self.waits_for -= 1
    if not self.waits_for:
      self.is_done = True
      for path in [*self._aside.iterdir()]:
        path.rename(self.folder / path.name)
      for name in ("4", "8"):
        shutil.rmtree(self.folder / name)


def test_a_workdir_can_be_read_at_any_moment_of_its_training(
  saved, tmp_path, caplog
):
  for opened in itertools.count(1):
    workdir = tmp_path / str(opened)
    shutil.copytree(saved[0], workdir)
    training = GoesOn(workdir, opened)
    sys.addaudithook(training)
    items = checkpoint.restore(workdir, ITEMS)
    assert is_saved(items, saved[1][8])  # It may be called 16 by now.
    if not training.is_done:
      break
  assert opened > 10
  assert "Damaged" not in caplog.text


@pytest.mark.slow
def test_a_run_goes_on_after_damage_as_if_there_were_none(
  quick_config, splits, caplog
):
  quick_config.checkpoint_every_steps = 2
  unbroken, _ = fit(quick_config, splits)
  weights = saved_best(quick_config)
  folder = pathlib.Path(quick_config.workdir) / checkpoint.FOLDER
  steps = sorted(int(path.name) for path in folder.iterdir())
  flip(array_file(folder / str(steps[-1])), random.Random(0))
  with caplog.at_level(logging.WARNING):
    resumed, writer = fit(quick_config, splits)
  assert f"{steps[-2]} instead" in caplog.text
  assert min(step for step, _ in writer.scalars) > steps[-2]
  assert resumed == unbroken
  again = saved_best(quick_config)
  np.testing.assert_equal(again, weights)
  aside = folder.with_name(checkpoint.DAMAGED_FOLDER)
  assert [path.name for path in aside.iterdir()] == [str(steps[-1])]
