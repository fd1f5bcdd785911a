"""Checkpoints: everything a run needs to go on, and what a user loads.

A step holds four Orbax items:
  state     the training state of that step
  best      the variables of the best epoch so far, which commands load
  progress  JSON: stage, epoch, callbacks, history
  config    JSON: the run's config and the data set's class names
"""

from typing import Any

import jax
import ml_collections
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from jaxtyping import PyTree

FOLDER = "checkpoints"
Manager = ocp.CheckpointManager


def open_manager(workdir: epath.PathLike) -> Manager:
  """Returns the manager of `<workdir>/checkpoints`, which keeps two steps."""
  return ocp.CheckpointManager(
    _absolute(workdir) / FOLDER,
    options=ocp.CheckpointManagerOptions(
      preservation_policy=ocp.checkpoint_managers.LatestN(2)
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
  """Writes a step in the background; arrays are copied before it returns."""
  manager.save(
    step,
    args=ocp.args.Composite(
      state=ocp.args.StandardSave(_to_numpy(state)),
      best=ocp.args.StandardSave(_to_numpy(best)),
      progress=ocp.args.JsonSave(progress),
      config=ocp.args.JsonSave(config),
    ),
  )


def save_best(
  workdir: epath.PathLike,
  variables: dict[str, Any],
  config: ml_collections.ConfigDict,
  class_names: tuple[str, ...],
) -> None:
  """Writes, as step 0, variables trained elsewhere, for commands to load.

  Raises FileExistsError where `workdir` holds a checkpoint already.
  """
  with open_manager(workdir) as manager:
    if manager.latest_step() is not None:
      raise FileExistsError(
        f"{epath.Path(workdir) / FOLDER} holds step {manager.latest_step()} of "
        "another network; choose a new directory."
      )
    manager.save(
      0,
      args=ocp.args.Composite(
        best=ocp.args.StandardSave(_to_numpy(variables)),
        config=ocp.args.JsonSave(describe(config, class_names)),
      ),
    )
    manager.wait_until_finished()


def describe(
  config: ml_collections.ConfigDict, class_names: tuple[str, ...]
) -> dict[str, Any]:
  """Returns what a checkpoint says of its run."""
  return {"config": config.to_dict(), "class_names": list(class_names)}


def latest_progress(manager: Manager) -> dict[str, Any] | None:
  """Returns the newest step's progress, or None before the first save."""
  if manager.latest_step() is None:
    return None
  items = ocp.args.Composite(progress=ocp.args.JsonRestore())
  return manager.restore(manager.latest_step(), args=items)["progress"]


def restore_latest(
  manager: Manager, *, state: PyTree, best: PyTree
) -> tuple[PyTree, PyTree]:
  """Returns the newest (state, best) as NumPy arrays.

  The arguments give the trees' structure, shapes and dtypes.
  """
  items = ocp.args.Composite(
    state=ocp.args.StandardRestore(_to_numpy(state)),
    best=ocp.args.StandardRestore(_to_numpy(best)),
  )
  restored = manager.restore(manager.latest_step(), args=items)
  return restored["state"], restored["best"]


def restore_best(path: epath.PathLike) -> dict[str, Any]:
  """Returns the best variables of a workdir, or of one step's directory."""
  return _restore_item(path, "best", ocp.args.StandardRestore())


def restore_config(path: epath.PathLike) -> dict[str, Any]:
  """Returns what `describe` said of the run at a workdir or a step of it."""
  return _restore_item(path, "config", ocp.args.JsonRestore())


def _restore_item(path: epath.PathLike, name: str, item: Any) -> Any:
  path = _absolute(path)
  if (path / FOLDER).is_dir():
    workdir, step = path, None
  elif (path / "best").is_dir() and path.name.isdigit():
    workdir, step = path.parent.parent, int(path.name)
  else:
    raise FileNotFoundError(
      f"No checkpoint at {path}: expected a run's workdir, which holds "
      f"{FOLDER}/, or a step such as {FOLDER}/1200 (--checkpoint)."
    )
  with open_manager(workdir) as manager:
    step = manager.latest_step() if step is None else step
    if step is None:
      raise FileNotFoundError(f"{path / FOLDER} holds no finished step yet.")
    restored = manager.restore(step, args=ocp.args.Composite(**{name: item}))
  return restored[name]


def _absolute(path: epath.PathLike) -> epath.Path:
  # Orbax takes no relative path, and epath would make gs://b the local ./gs:/b.
  path = epath.Path(path)
  return path if "://" in str(path) else path.absolute()


def _to_numpy(tree: PyTree) -> PyTree:
  # Whole arrays on the host do not care how many devices or hosts there are.
  return jax.tree.map(np.asarray, jax.device_get(tree))
