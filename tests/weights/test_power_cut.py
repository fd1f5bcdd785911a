"""The power fails at any moment of a save; the run goes on from a step."""

import numpy as np
import pytest
from power_cut import PowerCuts, restore

from pattlite_jax.weights import checkpoint

ITEMS = ("state", "best", "progress", "config")


def contents(step):
  return {
    "state": {"step": np.int32(step), "kernel": np.full(9, step, np.float32)},
    "best": {"params": {"bias": np.full(3, step, np.float32)}},
    "progress": {"history": [step]},
    "config": {"config": {"seed": 3}, "class_names": ["a", "b"]},
  }


def distinct(disks):
  """Returns the disks that differ in more than half-written steps."""
  by_steps = {}
  for disk in disks:
    steps = {n: data for n, data in disk.items() if "checkpoint-tmp" not in n}
    by_steps.setdefault(tuple(sorted(steps.items())), disk)
  return list(by_steps.values())


def newest(workdir):
  """Returns the step that a run would go on from; None to start again."""
  with checkpoint.open_manager(workdir, exclusive=True) as manager:
    found = checkpoint.restore_newest(manager, ITEMS)
  if found is None:
    return None
  step, items = found
  np.testing.assert_equal(items, contents(step))
  return step


@pytest.fixture(scope="module")
def disks(tmp_path_factory):
  """The disks that a power cut leaves during the saves of steps 4, 8, 12.

  By the number of the steps that were saved before.
  """
  root = tmp_path_factory.mktemp("disk")
  found = []
  with pytest.MonkeyPatch.context() as patch:
    cuts = PowerCuts(root)
    with (
      cuts.watched(patch),
      checkpoint.open_manager(root / "runs/a", exclusive=True) as manager,
    ):
      for step in (4, 8, 12):
        checkpoint.save(manager, step, **contents(step))
        checkpoint.wait(manager)
        found.append(distinct(cuts.disks.values()))
        cuts.disks.clear()
  return found


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_power_cut_in_a_save_leaves_the_step_before(disks, tmp_path, number):
  before, saved = [(None, 4), (4, 8), (8, 12)][number]
  seen = set()
  for index, disk in enumerate(disks[number]):
    restore(disk, tmp_path / str(index))
    seen.add(newest(tmp_path / str(index) / "runs/a"))
  assert seen == {before, saved}
