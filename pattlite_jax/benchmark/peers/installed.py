"""What people install to read expressions, asked about faces one at a time.

The weights and the preprocessing are those of each package; a face is what the
package's own detector would have cut out. `launch/peers.sh` installs them into
a folder of their own, as they need much that this project does not.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from pattlite_jax.benchmark.peers.names import PEERS
from pattlite_jax.predict import network as network_lib
from pattlite_jax.runtime.errors import MissingFileError, UserError
from pattlite_jax.weights import model_folder, safetensors_io

Faces = UInt8[np.ndarray, "N S S 1"]
# After `_get_labels` of fer/fer.py; those of FER2013.
OF_FER = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_SCRIPT = pathlib.Path(__file__).with_name("expressions.cjs")
_HOW_TO_INSTALL = "launch/peers.sh installs the peers."


@dataclasses.dataclass(frozen=True)
class Answers:
  """What a network says of each face, and what it took."""

  class_names: Sequence[str]
  probabilities: Float[np.ndarray, "N K"]
  milliseconds: Float[np.ndarray, "N"]
  version: str
  runtime: str
  num_bytes: int  # Of the weights' file.
  parameters: int


def ours(name: str, faces: Faces) -> Answers:
  """Asks a network as `python -m pattlite_jax.predict` runs it.

  Raises:
    MissingFileError, UserError: as `predict.network.load`; if it takes faces of
      another shape.
  """
  network = network_lib.load(name)
  if network.image_shape != faces.shape[1:]:
    raise UserError(
      f"{name} takes faces of {network.image_shape}, but the data set's are "
      f"{faces.shape[1:]}; compare a network that was trained on such."
    )
  folder = model_folder.find(name)
  if not folder:
    raise UserError(
      f"{name} is a run; write its folder by pattlite_jax.release."
    )
  variables = safetensors_io.load_variables(folder / model_folder.WEIGHTS)
  probabilities, milliseconds = _timed(network.probabilities, faces)
  return Answers(
    network.class_names,
    probabilities,
    milliseconds,
    network.sha256,
    network.backend,
    len((folder / model_folder.WEIGHTS).read_bytes()),
    sum(np.size(leaf) for leaf in _leaves(variables["params"])),
  )


def peer(name: str, folder: str | os.PathLike[str], faces: Faces) -> Answers:
  """Asks one of `PEERS`, installed in the folder.

  Raises:
    MissingFileError: if it is not installed.
    UserError: if it fails; says how.
  """
  ask = _fer if name == "fer" else _of_npm
  return ask(name, pathlib.Path(folder).expanduser(), faces)


def _fer(name: str, folder: pathlib.Path, faces: Faces) -> Answers:
  """Asks the quantised network of `fer`, its default, after fer/fer.py."""
  import cv2
  import h5py
  import tensorflow as tf

  data = _installed(folder / "python" / name / "data")
  file = data / "emotion_model_quantized.tflite"
  lite: Any = (
    tf.lite
  )  # Loaded at its first use, so that checkers do not see it.
  interpreter = lite.Interpreter(model_path=str(file))
  interpreter.allocate_tensors()
  (given,) = interpreter.get_input_details()
  (output,) = interpreter.get_output_details()
  size = tuple(given["shape"][1:3])

  def probabilities(faces):
    face = cv2.resize(faces[0], size).astype(np.float32)
    face = (face / 255 - 0.5) * 2
    interpreter.set_tensor(given["index"], face[None, :, :, None])
    interpreter.invoke()
    return interpreter.get_tensor(output["index"])

  parameters = []
  with h5py.File(data / "emotion_model.hdf5") as weights:
    weights["model_weights"].visititems(
      lambda _, item: parameters.append(getattr(item, "size", 0))
    )
  found, milliseconds = _timed(probabilities, faces)
  return Answers(
    OF_FER,
    found,
    milliseconds,
    version_of_fer(folder),
    f"TensorFlow Lite {tf.__version__}, int8 weights",
    file.stat().st_size,
    sum(parameters),
  )


def version_of_fer(folder: pathlib.Path) -> str:
  """Returns the version of the package fer that launch/peers.sh installed.

  Raises:
    MissingFileError: if it is not installed.
  """
  _installed(folder / "python" / "fer")
  (about,) = (folder / "python").glob("fer-*.dist-info")
  return about.name.removeprefix("fer-").removesuffix(".dist-info")


def _of_npm(name: str, folder: pathlib.Path, faces: Faces) -> Answers:
  """Asks a network of an npm package, in Node; expressions.cjs says how."""
  package = name.replace("_", "-")
  _installed(folder / "node_modules" / "@vladmandic" / package)
  with tempfile.TemporaryDirectory() as own:
    given, out = pathlib.Path(own) / "faces", pathlib.Path(own) / "out.json"
    given.write_bytes(faces.tobytes())
    command = ["node", _SCRIPT, folder, name, given, faces.shape[1], out]
    try:
      done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False
      )
    except FileNotFoundError as error:
      raise MissingFileError(
        f"{PEERS[name]} needs Node: there is no `node` on the PATH."
      ) from error
    if done.returncode:
      lines = done.stderr.strip().splitlines() or ["no word of why"]
      raise UserError(f"{PEERS[name]} failed in Node: {lines[0]}")
    said = json.loads(out.read_text())
  return Answers(
    said["class_names"],
    np.array(said["probabilities"], np.float32),
    np.array(said["milliseconds"], np.float32),
    said["version"],
    said["runtime"],
    said["bytes"],
    said["parameters"],
  )


def _installed(path: pathlib.Path) -> pathlib.Path:
  if not path.is_dir():
    raise MissingFileError(f"There is no {path}. {_HOW_TO_INSTALL}")
  return path


def _timed(
  ask: Callable[[Faces], Float[np.ndarray, "1 K"]], faces: Faces
) -> tuple[Float[np.ndarray, "N K"], Float[np.ndarray, "N"]]:
  """Returns the probabilities, and milliseconds, of each face alone."""
  for _ in range(5):  # Settles memory.
    ask(faces[:1])
  found, times = [], []
  for k in range(len(faces)):
    start = time.perf_counter()
    found.append(ask(faces[k : k + 1]))
    times.append(1000 * (time.perf_counter() - start))
  return np.concatenate(found), np.array(times, np.float32)


def _leaves(tree: Any) -> list[Any]:
  if not isinstance(tree, dict):
    return [tree]
  return [leaf for part in tree.values() for leaf in _leaves(part)]
