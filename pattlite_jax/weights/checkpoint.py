"""Checkpoints: everything a run needs to go on, and what a user loads.

A step holds these Orbax items:
  state     the training state of that step
  best      the variables of the best epoch so far, which commands load
  progress  JSON: stage, epoch, callbacks, history
  config    JSON: the run's config, the data set's class names and digests
  digests   JSON: digests of the other items
A step that is not what was saved is named in a warning, and the one before is
used.
"""

import asyncio
import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import ml_collections
import orbax.checkpoint as ocp
from absl import logging
from etils import epath
from jaxtyping import PyTree

from pattlite_jax.runtime import durable, parallel
from pattlite_jax.runtime.errors import FileError, MissingFileError
from pattlite_jax.weights import checkpoint_items, save_errors
from pattlite_jax.weights.checkpoint_items import DamagedError

FOLDER = "checkpoints"
DAMAGED_FOLDER = "damaged_checkpoints"
Manager = ocp.CheckpointManager
_TRIES = 100  # To read a folder whose steps come and go.


class _Synced(ocp.path.atomicity.AtomicRenameTemporaryPath):
  """A step's folder that gets its final name once a power cut spares it.

  Orbax deletes older steps after that.
  """

  async def finalize(self) -> None:
    """Syncs and renames the folder; the items in it come before the step."""
    final = self.get_final()
    if not final.parent.name.isdigit():  # A step, of which items are parts.
      await asyncio.to_thread(durable.sync_tree, self.get())
    await super().finalize()  # Writes some more, which nothing needs.
    await asyncio.to_thread(durable.sync_names, final)


def open_manager(
  workdir: epath.PathLike, *, exclusive: bool = False
) -> Manager:
  """Returns the manager of `<workdir>/checkpoints`, which keeps two steps.

  `exclusive` says that no other process saves there, so that what is left of
  a killed process' save can go.
  """
  folder = _absolute(workdir) / FOLDER
  return ocp.CheckpointManager(
    folder,
    options=ocp.CheckpointManagerOptions(
      preservation_policy=ocp.checkpoint_managers.LatestN(2),
      cleanup_tmp_directories=exclusive,
      temporary_path_class=_Synced if durable.is_local(folder) else None,
    ),
  )


def save(
  manager: Manager,
  step: int,
  *,
  state: PyTree,
  best: PyTree,
  progress: dict[str, Any],
  config: dict[str, Any],
) -> None:
  """Writes a step in the background, unless it is there already.

  Arrays are copied before it returns.

  Raises:
    FileError: if this save fails, or an earlier one failed in the background.
  """
  if step not in manager.all_steps():
    items = {"state": state, "best": best}
    _write(manager, step, items | {"progress": progress, "config": config})


def save_best(
  workdir: epath.PathLike,
  variables: dict[str, Any],
  config: ml_collections.ConfigDict,
  class_names: tuple[str, ...],
  image_shape: tuple[int, int, int] | None = None,
) -> None:
  """Writes, as step 0, variables trained elsewhere, for commands to load.

  `image_shape` [H, W, C] is that of the images they were trained on, if known.
  Raises FileError where `workdir` holds a checkpoint already.
  """
  with open_manager(workdir) as manager:
    if manager.latest_step() is not None:
      raise FileError(
        f"{epath.Path(workdir) / FOLDER} holds step {manager.latest_step()} of "
        "another network; choose a new directory."
      )
    described = describe(config, class_names)
    if image_shape is not None:
      described["image_shape"] = list(image_shape)
    items = {"best": variables, "config": described}
    _write(manager, 0, items | {"progress": {"history": []}})
    wait(manager)


def wait(manager: Manager) -> None:
  """Returns when all is written; raises OSError if a save failed."""
  with _explained(manager):
    manager.wait_until_finished()


def _write(manager: Manager, step: int, items: dict[str, Any]) -> None:
  with _explained(manager):
    manager.save(step, args=checkpoint_items.to_save(items))


@contextlib.contextmanager
def _explained(manager: Manager) -> Iterator[None]:
  try:
    yield
  except Exception as error:  # Orbax and TensorStore have errors of their own.
    raise FileError(save_errors.explain(manager.directory, error)) from error


def describe(
  config: ml_collections.ConfigDict, class_names: tuple[str, ...]
) -> dict[str, Any]:
  """Returns what a checkpoint says of its run."""
  return {"config": config.to_dict(), "class_names": list(class_names)}


def restore_newest(
  manager: Manager, names: Sequence[str], *, setting: str | None = "workdir"
) -> tuple[int, dict[str, Any]] | None:
  """Returns (step, items) of the newest usable step, None if there is no step.

  Arrays come as NumPy in nested dicts, for `checkpoint_items.fill`. `setting`
  is what an error names (`UserError.setting`).

  Raises:
    DamagedError: if there are steps but none is usable.
  """
  problems = []
  for step in sorted(manager.all_steps(), reverse=True):
    try:
      items = checkpoint_items.read(manager, step, names)
    except DamagedError as error:
      problems.append(str(error))
      continue
    # Not before: steps may fail because a run that trains has deleted them.
    for problem in problems:
      logging.warning("Damaged checkpoint: %s.", problem)
    if problems:
      logging.warning("Using the checkpoint of step %d instead.", step)
    return step, items
  if problems:
    raise DamagedError(
      f"No checkpoint in {manager.directory} is usable: {'; '.join(problems)}. "
      "Put back a whole copy, or use another workdir.",
      setting=setting,
    )
  return None


def set_newer_aside(manager: Manager, step: int) -> None:
  """Moves the steps after `step`, which are damaged, out of the run's way."""
  newer = [number for number in manager.all_steps() if number > step]
  if not newer:
    return
  if parallel.is_writer():
    folder = manager.directory.parent / DAMAGED_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for number in newer:
      target = folder / str(number)
      while target.exists():
        target = target.with_name(f"{target.name}_again")
      (manager.directory / str(number)).rename(target)
      logging.warning("The damaged checkpoint now lies in %s.", target)
  ocp.multihost.sync_global_processes("set_newer_aside")
  manager.reload()


def is_there(path: epath.PathLike) -> bool:
  """Whether `path` is a workdir that has saved, or one step's directory."""
  return _locate(path) is not None


def restore(path: epath.PathLike, names: Sequence[str]) -> dict[str, Any]:
  """Returns items of a step's directory, or of a workdir's newest usable step.

  Raises:
    MissingFileError: if there is no finished step.
    DamagedError: if what is there is not what was saved.
  """
  located = _locate(path)
  if located is None:
    raise MissingFileError(f"No checkpoint at {path}.")
  folder, step = located
  if step is None:
    return _read_newest(folder, names)
  return _read_step(folder, step, names)


def _read_newest(folder: epath.Path, names: Sequence[str]) -> dict[str, Any]:
  """Reads again as long as a run that trains there deletes what is read."""
  seen: set[int] = set()
  for _ in range(_TRIES):
    steps: set[int] = set()
    try:
      with open_manager(folder.parent) as manager:
        steps = set(manager.all_steps())
        newest = restore_newest(manager, names, setting=None)
    except FileNotFoundError:  # It went while Orbax listed it.
      continue
    except DamagedError:
      if steps <= seen:
        raise
      seen |= steps
      continue
    if newest is None:
      raise MissingFileError(f"{folder} holds no finished step yet.")
    return newest[1]
  raise FileError(
    f"{folder} changes faster than it can be read: is something else than a "
    "training at work there?"
  )


def _read_step(
  folder: epath.Path, step: int, names: Sequence[str]
) -> dict[str, Any]:
  try:
    with open_manager(folder.parent) as manager:
      return checkpoint_items.read(manager, step, names)
  except (DamagedError, FileNotFoundError) as error:
    if not (folder / str(step)).exists():
      raise MissingFileError(
        f"{folder / str(step)} was deleted while it was read: a run that "
        "trains keeps its two newest steps. Pass its workdir for the newest."
      ) from error
    raise DamagedError(f"A checkpoint is damaged: {error}.") from error


def _locate(path: epath.PathLike) -> tuple[epath.Path, int | None] | None:
  """Returns the folder of the steps, and the step that `path` names, if any."""
  path = _absolute(path)
  if (path / FOLDER).is_dir():
    return path / FOLDER, None
  if (path / "best").is_dir() and re.fullmatch(
    r"\d{1,18}", path.name, re.ASCII
  ):
    return path.parent, int(path.name)
  return None


def _absolute(path: epath.PathLike) -> epath.Path:
  # Orbax takes no relative path, and epath would make gs://b the local ./gs:/b.
  path = epath.Path(path).expanduser()
  return path if "://" in str(path) else path.absolute()
