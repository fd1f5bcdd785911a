"""What an exported file says of itself, whatever its format."""

import io
import json
import zipfile
from typing import Any

from pattlite_jax.export.check import NUM_FACES
from pattlite_jax.runtime import provenance
from pattlite_jax.trained import Trained

NAME = "metadata.json"


def of(
  network: Trained, precision: str, difference: float, **more: Any
) -> dict[str, Any]:
  """Returns what a file says, in what JSON takes."""
  environment = provenance.environment()
  return {
    "class_names": list(network.class_names),
    "image_shape": list(network.image_shape or ()),
    "input": "faces, uint8 [batch, height, width, channels], 0 to 255",
    "output": "probabilities, float32 [batch, classes]",
    "preprocessing": (
      "Cut out the face, make it grey if image_shape has one channel (else "
      "RGB), fill it to the shape of image_shape with its mean, the crop in "
      "the middle, and resize it, averaging where it is larger. The "
      f"file holds the rest: to {network.config.model.image_size} pixels "
      "(bilinear), and to [-1, 1]."
    ),
    "method": network.config.method,
    "trained_on": network.config.data.name,
    "sha256": network.sha256(),
    "precision": precision,
    "checked_on": f"{NUM_FACES} drawn faces",
    "largest_difference": difference,
    "revision": environment["git_revision"],
    "version": environment["versions"]["pattlite-jax"],
    **more,
  }


def append(content: bytes, said: dict[str, Any]) -> bytes:
  """Returns a file with `said` behind it, as a ZIP archive of one file.

  Readers of flatbuffers (TFLite, jax.export) pass over it, as over the labels
  that TFLite files carry in this way; `zipfile.ZipFile(F).read(NAME)` gives it.
  """
  file = io.BytesIO(content)
  with zipfile.ZipFile(file, "a") as archive:
    archive.writestr(NAME, json.dumps(said, indent=1))
  return file.getvalue()
