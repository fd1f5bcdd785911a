"""A detector from its ONNX file, told by its inputs and outputs."""

import os
import pathlib

from pattlite_jax.predict.detection.blazeface import BlazeFace
from pattlite_jax.predict.detection.centerface import CenterFace
from pattlite_jax.predict.detection.yunet import YuNet
from pattlite_jax.predict.session import Session
from pattlite_jax.runtime.errors import UserError

SHIPPED = pathlib.Path(__file__).parent / "blazeface_full_range.onnx"
# CenterFace's file declares pictures of 32 pixels, which nobody wants.
_SMALLEST_SIDE = 128

AnyDetector = BlazeFace | CenterFace | YuNet


def load(path: str | os.PathLike[str] | None = None) -> AnyDetector:
  """Returns the detector of an ONNX file; of the package's own for None.

  Raises:
    MissingFileError, FileError: if there is none, or it cannot be read.
    UserError: if its form is not known.
    ModuleNotFoundError: without onnxruntime.
  """
  path = path or SHIPPED
  session = Session(path)
  if len(session.inputs) == 1:
    for kind in (BlazeFace, YuNet):
      if kind.fits(session):
        return kind(session)
    if CenterFace.fits(session):
      sizes = [size for size in session.inputs[0][2:] if size]
      if sizes and min(sizes) < _SMALLEST_SIDE:
        session = Session(path, open_sizes=True)
      return CenterFace(session)
  raise UserError(
    f"{path} takes {session.inputs} and gives {session.outputs}, which is none "
    "of the face detectors known here: BlazeFace full range, CenterFace, "
    "YuNet (2023)."
  )
