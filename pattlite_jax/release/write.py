"""What `release` writes: a finished run as plain files, with a model card."""

import dataclasses
import shlex
from typing import Any

from etils import epath

from pattlite_jax import config as config_lib
from pattlite_jax import trained
from pattlite_jax.data.source import DataChoice
from pattlite_jax.release import calibration as calibration_lib
from pattlite_jax.release import copies, model_card, model_check, onnx_file
from pattlite_jax.runtime import durable, json_file, provenance, train_time
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.scoring import pictures, protocols
from pattlite_jax.scoring.inputs import load_inputs
from pattlite_jax.trained import Trained
from pattlite_jax.weights import model_folder

# Fields that hold folders of the machine that trained.
_FIELDS = ("workdir", "data.dir", "data.packed", "data.prepared_dir")
_OF_RESULT = ("command", "epoch_chosen_by", "config_changes")
_FOLDERS = {f"--config.{field}" for field in _FIELDS}


def release(
  workdir: epath.PathLike,
  out: epath.PathLike,
  choice: DataChoice,
  *,
  split: str,
  calibrate: bool = True,
) -> None:
  """Scores the best weights of a finished run and writes the folder.

  They predict in float32, whatever they were trained in. With `calibrate` they
  get a temperature, fitted on the validation split. What was released before
  can be released again, with what it says of its training.

  Raises:
    MissingFileError: if it is neither, or the run has not ended.
    UserError, FileError: as `trained.load` and `load_inputs`; if a
      logit is NaN or Inf.
  """
  training = _training(workdir)
  network = _as_released(trained.load(workdir))
  out = durable.named(out)
  inputs = load_inputs(network, choice, split=split, challenge_lists=None)
  own_set = (inputs.dataset, network.config.data.name)
  if network.image_shape is None and len(set(own_set)) > 1:
    raise UserError(
      "The checkpoint does not say the shape of its images, so it can only be "
      f"scored on the data set that it was trained on, {own_set[1]}.",
      setting="data.name",
    )
  calibration = None
  if calibrate:
    fitted_on = inputs
    if split != calibration_lib.SPLIT:
      fitted_on = load_inputs(
        network, choice, split=calibration_lib.SPLIT, challenge_lists=None
      )
    network, calibration = calibration_lib.calibrated(
      network, fitted_on.examples
    )
    inputs = dataclasses.replace(inputs, network=network)
  batches = protocols.Batches("official", 32, 0)
  result, predictions = protocols.evaluate(inputs, batches, flip_views=True)
  # An old checkpoint does not say it; it is scored on its own set.
  image_shape = network.image_shape or inputs.examples.images.shape[1:]
  network = dataclasses.replace(network, image_shape=image_shape)
  described = _describe(network, training, result)
  if calibration:
    described["calibration"] = calibration
  clean = copies.score(inputs, choice, predictions)
  if clean:
    described["without_copies"] = clean
  file = onnx_file.of(network)
  if file:
    described["onnx"] = file.noted
  model_folder.write(out, network.variables, described)
  if file:
    (out / model_folder.ONNX).write_bytes(file.content)
  pictures.draw_evaluation(out, result)
  durable.write_text(out / "README.md", model_card.text(out.name, described))
  durable.sync_tree(out)


def _as_released(network: Trained) -> Trained:
  """Returns a network uncalibrated, in float32: CPUs are slow in bfloat16."""
  config = network.config.copy_and_resolve_references()
  config.model.dtype = "float32"
  return dataclasses.replace(network, config=config, temperature=1.0)


def _training(workdir: epath.PathLike) -> dict[str, Any]:
  """Returns what a run's folder, or a released one, says of the training.

  Raises:
    MissingFileError: if it is neither, or the run has not ended.
    UserError: if what it says is not what is written there.
  """
  released = model_folder.find(workdir)
  if released:
    path = released / model_folder.CONFIG
    training = model_folder.read_config(released).get("training")
    if not isinstance(training, dict):
      raise UserError(
        f"{path} does not say how the network was trained, so it cannot be "
        "released again.",
        setting="checkpoint",
      )
    return training
  return _of_run(epath.Path(workdir).expanduser())


def _of_run(workdir: epath.Path) -> dict[str, Any]:
  path = workdir / "result.json"
  if not path.exists():
    raise MissingFileError(
      f"No {path}: only a run that has ended can be released, by its workdir.",
      setting="checkpoint",
    )
  result = json_file.read(path)
  lacking = [name for name in _OF_RESULT if name not in result]
  if lacking or not isinstance(result["command"], str):
    raise UserError(
      f"{path} is not what a run writes at its end: it lacks "
      f"{', '.join(lacking) or 'a command of words'}.",
      setting="checkpoint",
    )
  fields = ("git_revision", "versions", "machine", "device", "epochs", "seed")
  return {
    "command": without_folders(result["command"]),
    **{name: result.get(name) for name in fields},
    "epoch_chosen_by": result["epoch_chosen_by"],
    "config_changes": result["config_changes"],
    "started_from": result.get("started_from", {}),
    "taught_by": result.get("taught_by", {}),
    "hours": train_time.hours(workdir),
  }


def without_folders(command: str) -> str:
  """Returns a command without the values of flags that name folders."""
  words = []
  for word in shlex.split(command):
    flag, equals, _ = word.partition("=")
    if words and words[-1] in _FOLDERS:  # The value, in a word of its own.
      words[-1:] = [f"{words[-1]}=FOLDER"]
    else:
      words.append(f"{flag}=FOLDER" if equals and flag in _FOLDERS else word)
  return shlex.join(words)


def _describe(
  network: Trained, training: dict[str, Any], result: dict[str, Any]
) -> dict[str, Any]:
  """Returns what config.json holds."""
  assert network.image_shape
  config = network.config.copy_and_resolve_references().unlock()
  config.update_from_flattened_dict(
    {field: config_lib.FIELDS[field].default for field in _FIELDS}
  )
  return {
    "config": config.to_dict(),
    "class_names": list(network.class_names),
    "image_shape": list(network.image_shape),
    "temperature": network.temperature,
    "preprocessing": model_folder.PREPROCESSING,
    "training": training,
    "evaluation": result,
    "check": model_check.on_drawn_faces(network),
    "history": list(network.history),
    "released_by": provenance.environment()["git_revision"],
  }
