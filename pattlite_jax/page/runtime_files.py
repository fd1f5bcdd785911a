"""ONNX Runtime for browsers, as npm brings it; not part of this package."""

import pathlib
import shutil
import subprocess
import tarfile
import tempfile

from pattlite_jax.runtime.errors import MissingFileError, UserError

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"  # Tried with this version.
# Its smallest build: WebAssembly alone, without WebGPU.
FILES = (
  "ort.wasm.min.mjs",
  "ort-wasm-simd-threaded.mjs",
  "ort-wasm-simd-threaded.wasm",
)
_SECONDS = 300  # That npm may take.


def read(folder: str | None) -> dict[str, bytes]:
  """Returns the files by name, from an npm folder or else from npm itself.

  Raises:
    MissingFileError: if the folder lacks one.
    UserError: if npm is needed and is not there, or fails.
  """
  if folder:
    return _from_folder(pathlib.Path(folder).expanduser())
  npm = shutil.which("npm")
  if npm is None:
    raise UserError(
      f"The page needs {PACKAGE}, and there is no npm to fetch it. Run `npm "
      f"install {PACKAGE}@{VERSION}` on any machine, and pass its folder.",
      setting="onnxruntime_web",
    )
  with tempfile.TemporaryDirectory() as packed:
    command = [
      npm,
      "pack",
      f"{PACKAGE}@{VERSION}",
      "--pack-destination",
      packed,
    ]
    try:
      subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=_SECONDS
      )
    except (OSError, subprocess.SubprocessError) as error:
      lines = (
        (getattr(error, "stderr", None) or str(error)).strip().splitlines()
      )
      reason = lines[0] if lines else error
      raise UserError(
        f"`npm pack {PACKAGE}@{VERSION}` failed: {reason}. Pass the folder of "
        "an installed one.",
        setting="onnxruntime_web",
      ) from error
    (archive,) = pathlib.Path(packed).glob("*.tgz")
    return _from_archive(archive)


def _from_folder(folder: pathlib.Path) -> dict[str, bytes]:
  inside = pathlib.Path(PACKAGE) / "dist"
  for place in (
    folder,
    folder / "dist",
    folder / inside,
    folder / "node_modules" / inside,
  ):
    if (place / FILES[0]).is_file():
      missing = [name for name in FILES if not (place / name).is_file()]
      if not missing:
        return {name: (place / name).read_bytes() for name in FILES}
      raise MissingFileError(
        f"{place} has no {missing[0]}; use {PACKAGE} {VERSION}.",
        setting="onnxruntime_web",
      )
  raise MissingFileError(
    f"There is no {FILES[0]} in {folder}, which must be what `npm install "
    f"{PACKAGE}@{VERSION}` leaves.",
    setting="onnxruntime_web",
  )


def _from_archive(path: pathlib.Path) -> dict[str, bytes]:
  found = {}
  with tarfile.open(path) as archive:
    for name in FILES:
      member = archive.extractfile(f"package/dist/{name}")
      assert member is not None
      found[name] = member.read()
  return found
