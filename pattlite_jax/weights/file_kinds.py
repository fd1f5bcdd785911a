"""What a path is, told by its content: for errors that say what takes it."""

from __future__ import annotations

import os
import pathlib
import zipfile

from pattlite_jax.runtime.lazy import epath

_PORT = "python -m pattlite_jax.weights.keras_port"
_LFS = b"version https://git-lfs.github.com/spec/"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"


def is_plain(path: pathlib.Path | epath.Path) -> bool:
  """Whether a path is a file that can be read without waiting for another.

  For epath a pipe is a file, too.
  """
  return path.is_file() if "://" in str(path) else os.path.isfile(path)


def of(path: pathlib.Path | epath.Path) -> str | None:
  """Returns the kind of a file or folder; None for any other.

  One of "LFS pointer", "HDF5" (.h5), "Keras zip" (.keras), "PyTorch zip",
  "safetensors", "SavedModel", "network" (what `pattlite_jax.load` takes).
  """
  if path.is_dir():
    if (path / "saved_model.pb").is_file():
      return "SavedModel"
    own = ("checkpoints", "weights.safetensors")
    return "network" if any((path / name).exists() for name in own) else None
  if not is_plain(path):
    return None
  with path.open("rb") as file:
    head = file.read(64)
    if head.startswith(_LFS):
      return "LFS pointer"
    if head.startswith(_HDF5):
      return "HDF5"
    if head.startswith(_ZIP):
      return _of_zip(file)
  # A safetensors file begins with the length of its JSON header.
  length = int.from_bytes(head[:8], "little")
  is_header = head[8:9] == b"{" and length < 100_000_000
  return "safetensors" if is_header else None


def _of_zip(file) -> str | None:
  try:
    with zipfile.ZipFile(file) as archive:
      names = archive.namelist()
  except (zipfile.BadZipFile, ValueError, NotImplementedError):
    return "Keras zip"  # A broken one, as far as its first bytes tell.
  if any(name.endswith("/data.pkl") for name in names):
    return "PyTorch zip"
  return "Keras zip" if "model.weights.h5" in names else None


def advice(path: pathlib.Path | epath.Path) -> str | None:
  """Says what a path is and which command takes it; None for any other kind.

  The sentences begin with the path.
  """
  kind = of(path)
  return kind and {
    "LFS pointer": f"{path} is a git-LFS pointer, not the file that it stands "
    "for; run `git lfs pull` in its repository.",
    "HDF5": f"{path} is an HDF5 file, as Keras writes it; {_ported(path)}.",
    "Keras zip": f"{path} is a Keras file; {_ported(path)}.",
    "PyTorch zip": f"{path} is a file of PyTorch, which holds pickled code and "
    "is not read.",
    "safetensors": f"{path} is a safetensors file. pattlite_jax.load takes a "
    "whole network by its folder, which has config.json, too; "
    "config.model.trunk_weights takes a trunk.",
    "SavedModel": f"{path} is a SavedModel folder, which holds a program and "
    "is not run. Save its model in one file, with the Keras that wrote it: "
    f"keras.models.load_model({str(path)!r}).save('model.h5'); then "
    f"`{_PORT} --model=model.h5 --out=FOLDER` takes it.",
    "network": f"{path} is the folder of a trained network; "
    "pattlite_jax.load takes it as it is.",
  }.get(kind)


def _ported(path: pathlib.Path | epath.Path) -> str:
  return (
    f"`{_PORT} --model={path} --out=FOLDER` makes a network of a whole model, "
    f"and `{_PORT} --weights={path} --out=FILE.safetensors` a trunk of a "
    "MobileNet's weights"
  )
