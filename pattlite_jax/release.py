"""Writes a finished run as a folder of plain files, with a model card.

python -m pattlite_jax.release --checkpoint runs/fer2013_best --out DIR
  [--split validation] [--dataset ferplus/argmax --data_dir <folder>]

The folder holds the best weights (safetensors), config.json, and README.md: the
card, whose figures are measured here, one image at a time. What it needs of the
training (command, revision, machine, hours) comes from the run's folder.
`pattlite_jax.load(DIR)` and every --checkpoint take it.
"""

import dataclasses
import json
import re
from typing import Any

from absl import app, flags
from etils import epath

from pattlite_jax.data.load import SPLITS

_CHECKPOINT = flags.DEFINE_string(
  "checkpoint", None, "The workdir of a finished run.", required=True
)
_OUT = flags.DEFINE_string("out", None, "The folder to write.", required=True)
_DATASET = flags.DEFINE_string(
  "dataset", None, "A data set to score; default: that of the training."
)
_DATA_DIR = flags.DEFINE_string(
  "data_dir", None, "Where the data set's files lie; default: as in training."
)
_SPLIT = flags.DEFINE_enum("split", "validation", SPLITS, "What is scored.")
# Fields that hold folders of the machine that trained.
_FOLDERS = ("config.workdir", "config.data.dir", "config.data.prepared_dir")


def main(argv: list[str]) -> None:
  """Scores the weights and writes the folder."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  # Imported here so that --help needs none of it.
  from pattlite_jax import errors, startup

  startup.configure()
  with errors.in_one_line(data_flags=True):
    release(
      _CHECKPOINT.value,
      _OUT.value,
      dataset=_DATASET.value,
      data_dir=_DATA_DIR.value,
      split=_SPLIT.value,
    )
  print(f"The model and its card are in {_OUT.value}.")


def release(
  workdir: epath.PathLike,
  out: epath.PathLike,
  *,
  dataset: str | None,
  data_dir: str | None,
  split: str,
) -> None:
  """Scores the best weights of a finished run and writes the folder.

  Raises:
    FileNotFoundError: if the run has not ended.
    ValueError, OSError: as `evaluation.load_inputs`.
  """
  from pattlite_jax import evaluation, model_card, model_folder, pictures

  workdir, out = epath.Path(workdir), epath.Path(out)
  training = _training(workdir)
  inputs = evaluation.load_inputs(
    str(workdir),
    dataset=dataset,
    data_dir=data_dir,
    split=split,
    challenge_lists=None,
  )
  batches = evaluation.Batches("official", 32, 0)
  result, _ = evaluation.evaluate(inputs, batches, flip_views=True)
  described = _describe(inputs, training, result)
  model_folder.write(out, inputs.network.variables, described)
  pictures.draw_evaluation(out, result)
  (out / "README.md").write_text(model_card.text(out.name, described))


def _training(workdir: epath.Path) -> dict[str, Any]:
  """Returns what the run's folder says of how it was trained.

  Raises:
    FileNotFoundError: if the run has not ended.
  """
  from pattlite_jax import train_time

  path = workdir / "result.json"
  if not path.exists():
    raise FileNotFoundError(
      f"No {path}: --checkpoint must be the workdir of a run that has ended."
    )
  result = json.loads(path.read_text())
  fields = ("git_revision", "versions", "machine", "device", "epochs", "seed")
  return {
    "command": without_folders(result["command"]),
    **{name: result.get(name) for name in fields},
    "epoch_chosen_by": result["epoch_chosen_by"],
    "config_changes": result["config_changes"],
    "hours": train_time.hours(workdir),
  }


def without_folders(command: str) -> str:
  """Returns a command without the values of flags that name folders."""
  flag = "|".join(re.escape(field) for field in _FOLDERS)
  return re.sub(rf"--({flag})[= ]('[^']*'|\S+)", r"--\1=FOLDER", command)


def _describe(
  inputs: Any, training: dict[str, Any], result: dict[str, Any]
) -> dict[str, Any]:
  """Returns what config.json holds."""
  from configs import default
  from pattlite_jax import model_check, provenance

  image_shape = inputs.examples.images.shape[1:]
  network = dataclasses.replace(inputs.network, image_shape=image_shape)
  config = network.config.copy_and_resolve_references().unlock()
  plain = default.get_config()
  config.workdir = plain.workdir
  config.data.dir = plain.data.dir
  config.data.prepared_dir = plain.data.prepared_dir
  return {
    "config": config.to_dict(),
    "class_names": list(network.class_names),
    "image_shape": list(image_shape),
    "preprocessing": (
      "Faces become uint8 images of image_shape [H, W, C]; the network makes "
      "grey RGB, resizes to config.model.image_size (bilinear) and scales to "
      "[-1, 1]."
    ),
    "training": training,
    "evaluation": result,
    "check": model_check.on_drawn_faces(network),
    "history": list(network.history),
    "released_by": provenance.environment()["git_revision"],
  }


if __name__ == "__main__":
  app.run(main)
