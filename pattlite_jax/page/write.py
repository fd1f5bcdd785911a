"""The files of the page: ours, the networks, and the runtime."""

import dataclasses
import gzip
import json
import pathlib
from typing import Any

from pattlite_jax import trained
from pattlite_jax.export import write as export
from pattlite_jax.page import runtime_files
from pattlite_jax.predict.detection import load as detectors
from pattlite_jax.runtime import durable
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.trained import Trained
from pattlite_jax.weights import model_folder

_HERE = pathlib.Path(__file__).parent
_WEB = _HERE / "web"
_LICENCES = f"""\
This page, its network and its texts: Apache-2.0, pattlite_jax.
Face detector (detector.onnx): BlazeFace full range of MediaPipe, Copyright The
MediaPipe Authors, Apache-2.0, converted to ONNX.
The text of Apache-2.0 stands at the end.

Runtime ({", ".join(runtime_files.FILES)}): ONNX Runtime Web
{runtime_files.VERSION}, MIT License, Copyright (c) Microsoft Corporation.

Permission is hereby granted, free of charge, to any person obtaining a copy of
this software and associated documentation files (the "Software"), to deal in
the Software without restriction, including without limitation the rights to
use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of
the Software, and to permit persons to whom the Software is furnished to do so,
subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS
FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER
IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


@dataclasses.dataclass(frozen=True)
class Transfer:
  """What a visitor's browser fetches, in bytes."""

  raw: int
  compressed: int  # By gzip, as most static hosts send it.


def write(model: str, out: str, onnxruntime_web: str | None) -> Transfer:
  """Writes the page of a network to a folder, ready for any static host.

  Raises:
    UserError: if the folder holds anything, the network cannot be exported, or
      the runtime is not to be had.
  """
  folder = _folder(out)
  network = trained.load(model, setting="model")
  content, said = export.content_of(network, "onnx", precision="float16")
  files = {
    **{path.name: path.read_bytes() for path in sorted(_WEB.iterdir())},
    **runtime_files.read(onnxruntime_web),
    "network.onnx": content,
    "detector.onnx": detectors.SHIPPED.read_bytes(),
    "about.json": json.dumps(_about(model, network, said), indent=1).encode(),
  }
  transfer = Transfer(
    sum(map(len, files.values())),
    sum(len(gzip.compress(file, 9)) for file in files.values()),
  )
  apache = (_HERE / "apache-2.0.txt").read_bytes()
  # Which nobody fetches unasked.
  files["licences.txt"] = _LICENCES.encode() + apache
  folder.mkdir(parents=True, exist_ok=True)
  for name, file in files.items():
    (folder / name).write_bytes(file)
  return transfer


def _folder(out: str) -> pathlib.Path:
  """Returns the folder, which is new, empty, or of an earlier page."""
  if not durable.is_local(out):
    raise UserError(f"{out} is no folder of this machine.", setting="out")
  folder = pathlib.Path(out).expanduser()
  if folder.exists() and not folder.is_dir():
    raise UserError(f"{folder} is a file, not a folder.", setting="out")
  names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
  if names and "about.json" not in names:
    raise UserError(
      f"{folder} holds files that are not of a page; choose a new folder.",
      setting="out",
    )
  return folder


def _about(
  model: str, network: Trained, said: dict[str, Any]
) -> dict[str, Any]:
  """Returns what the page says of its network."""
  return {
    "model": pathlib.PurePath(model).name,
    "summary": _summary(model, network),
    **{
      name: said[name]
      for name in (
        "class_names",
        "image_shape",
        "sha256",
        "version",
        "revision",
      )
    },
  }


def _summary(model: str, network: Trained) -> str:
  """Returns one sentence on the training and, where it is known, the score."""
  text = f"The network was trained on {network.config.data.name}"
  folder = model_folder.find(model)
  result = (
    model_folder.read_config(folder).get("evaluation") if folder else None
  )
  if not result:
    return f"{text}."
  ((split, scores),) = result["splits"].items()
  alone = scores["per_sample"]
  return (
    f"{text}, and names {100 * alone['accuracy']:.1f} % of the "
    f"{alone['num_examples']:,} faces of its {split} split as people did. "
    "Expect less of your pictures."
  )
