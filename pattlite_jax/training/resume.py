"""May a run go on from a checkpoint, and from where?

The config, the classes and the data must be what they were, or the rest of the
run would belong to another one. `config.resume` decides what happens if not:
  same   an error that shows each difference
  force  a warning that shows them; the run goes on with the new values, and
         result.json lists them under config_changes
"""

import dataclasses
import json
import re
from typing import Any

import ml_collections
from absl import logging

from pattlite_jax import config as config_lib
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.runtime.origin import Networks, Origin
from pattlite_jax.training.progress import Progress
from pattlite_jax.weights import checkpoint

# Fields that decide nothing about the numbers of a run.
HARMLESS = (
  "workdir",  # A folder may be moved, or copied to another machine.
  "resume",
  "data.dir",  # Where files lie: what is in them is compared by digests.
  "data.prepared_dir",
  "data.download",
  "data.packed",
  "data.memory_gb",
  "data.on_bad_image",  # What it leaves out changes the digests.
  "checkpoint_every_steps",  # When the state is saved, not what it is.
  "log_every_steps",
  "steps_per_dispatch",  # The devices take the same steps.
)
# Fields that decide which arrays the state holds: no run can change them.
STRUCTURE = ("optimizer", "schedule", "trunk")
_FORMER_DIGEST = re.compile(r"(?P<shape>[0-9x]+, sha256 )[0-9a-f]{16}")
ITEMS = ("state", "best", "progress", "config")  # What `saved` must hold.


def describe(
  config: ml_collections.ConfigDict,
  splits: dict[str, examples_lib.Examples],
  networks: Networks,
) -> dict[str, Any]:
  """Returns what a checkpoint says of its run: to load it, and to compare.

  `networks` are those that the run learns from. They are identified by a hash
  of their weights: a teacher's predictions may differ in their last bits
  between two starts on a GPU.
  """
  train = splits["train"]
  described = checkpoint.describe(config, train.class_names) | {
    "data": {
      f"{name} images": examples_lib.fingerprint(splits[name])
      for name in ("train", "validation")
    }
    | {
      f"{part} {name}": origin.to_json()
      for part, origins in networks.items()
      for name, origin in origins.items()
    },
    "image_shape": train.images.shape[1:],
    "steps_per_epoch": examples_lib.steps_per_epoch(
      examples_lib.epoch_size(train), config.batch_size
    ),
  }
  return json.loads(json.dumps(described))  # As it comes back when read.


def progress(
  step: int, saved: dict[str, Any], described: dict[str, Any]
) -> Progress:
  """Returns the progress that was saved at a step, if the run may go on there.

  Raises:
    UserError: if it may not; shows each difference as old -> new.
  """
  try:
    reached = Progress.from_json(_upgrade(saved))
    changed = changes(saved["config"], described)
  except UserError:
    raise
  except (AttributeError, LookupError, TypeError, ValueError) as error:
    raise UserError(
      f"{described['config']['workdir']} holds step {step} with a progress or "
      f"config that no run saves ({error!r}); use another workdir.",
      setting="workdir",
    ) from error
  if not changed:
    return reached
  lines = "".join(
    f"\n  {c['field']}: {c['old']} -> {c['new']}" for c in changed
  )
  config = described["config"]
  if config["resume"] != "force":
    raise UserError(
      f"{config['workdir']} holds step {step} of a run with another config:"
      f"{lines}\nPass the old values to go on, --config.resume=force to go on "
      "with the new ones, or another --config.workdir to start again."
    )
  old, new = (d.get("steps_per_epoch") for d in (saved["config"], described))
  if old != new:
    raise UserError(
      f"{config['workdir']} holds a run with {old} steps an epoch; with this "
      f"config they are {new}, which --config.resume=force cannot change:"
      f"{lines}\nPass the old values, or another --config.workdir."
    )
  for change in changed:
    if _changes_structure(change, config):
      raise UserError(
        f"{change['field']} {change['old']} -> {change['new']} makes another "
        f"state of the optimizer than the one in {config['workdir']}, which "
        f"--config.resume=force cannot change:{lines}\nPass the old values, or "
        "another --config.workdir."
      )
  logging.warning("Going on at step %d with changes:%s", step, lines)
  marked = [{"step": step} | change for change in changed]
  return dataclasses.replace(
    reached,
    config_changes=(*reached.config_changes, *marked),
  )


def _changes_structure(change: dict[str, Any], config: dict[str, Any]) -> bool:
  stage, _, name = change["field"].rpartition(".")
  if name == "weight_decay" and config[stage]["optimizer"] == "adamw":
    return False  # Which decays by 0, too.
  # Another decay goes on; none, or the first, cannot.
  if name in ("ema_decay", "weight_decay"):
    return bool(change["old"]) != bool(change["new"])
  return name in STRUCTURE


def changes(
  saved: dict[str, Any], described: dict[str, Any]
) -> list[dict[str, Any]]:
  """Returns the differences that matter, as {field, old, new}.

  Fields that are newer than the checkpoint had in its run what `upgrade` says.
  """
  upgraded = saved | {"config": config_lib.upgrade(saved["config"])}
  old, new = _flat(upgraded), _flat(described)
  return [
    {"field": field, "old": old.get(field), "new": new.get(field)}
    for field in sorted(old | new)
    if field not in HARMLESS and not _alike(old.get(field), new.get(field))
  ]


def _alike(old: Any, new: Any) -> bool:
  """Whether a value is what it was, as far as the checkpoint can tell.

  Versions that hashed all pixels in one go left a digest that cannot be found
  again without all of them in memory; of theirs, the shape has to do.
  """
  former = _FORMER_DIGEST.fullmatch(str(old))
  return old == new or bool(former and str(new).startswith(former["shape"]))


def _flat(described: dict[str, Any]) -> dict[str, Any]:
  """Returns {field: value}, fields of the config named as its flags are."""
  fields = config_lib.flat(described["config"])
  if "class_names" in described:
    fields["class_names"] = described["class_names"]
  return fields | {
    name: _comparable(name, value)
    for name, value in described.get("data", {}).items()
  }


def _comparable(name: str, value: Any) -> str:
  """Returns a digest as it is, and a network's origin, of any age, as text."""
  is_network = name.startswith(("started_from ", "taught_by "))
  return str(Origin.from_json(value)) if is_network else value


def _upgrade(saved: dict[str, Any]) -> dict[str, Any]:
  """Returns the saved progress, of an older version too.

  That kept the learning rate in place of the factor it had been lowered by.
  """
  fields = dict(saved["progress"])
  learning_rate = fields.pop("learning_rate", None)
  stage = saved["config"]["config"][config_lib.STAGES[fields["stage"]]]
  if learning_rate is not None and stage["plateau_patience"]:
    factor = learning_rate / stage["learning_rate"]
    fields["plateau"] = fields["plateau"] | {"factor": factor}
  return fields
