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


def open_manager(workdir: str) -> Manager:
  """Returns the manager of `<workdir>/checkpoints`, which keeps two steps."""
  return ocp.CheckpointManager(
    epath.Path(workdir).absolute() / FOLDER,
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
  return manager.restore(manager.latest_step(), args=items).progress


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
  return restored.state, restored.best


def _to_numpy(tree: PyTree) -> PyTree:
  # Whole arrays on the host do not care how many devices or hosts there are.
  return jax.tree.map(np.asarray, jax.device_get(tree))
