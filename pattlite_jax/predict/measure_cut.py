"""What it costs to find a face and cut it out, beside the data set's own cut.

python -m pattlite_jax.predict.measure_cut --checkpoint ferplus --json F
  [--dataset ferplus/argmax --data_dir DIR] [--packed F.npz]
  [--split validation] [--detector F.onnx] [--what side|shape]

Each face is laid on a canvas, four times as large, with its last pixels
repeated around it. The detector finds it again, and squares of several sides
around its box are classified. With --what shape no face is looked for, and
crops that are not square are (`measure_shape`). `results/cut/` is of this
command.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image
from absl import app, flags
from jaxtyping import Float, Int, UInt8

from pattlite_jax.data import flags as data_flags
from pattlite_jax.data.examples_check import SPLITS
from pattlite_jax.predict import canvas, cut, face, measure_shape
from pattlite_jax.predict.detection import passes

SIDES = (0.9, 1.0, 1.05, 1.1, 1.2, 1.3, 1.45)
_CHUNK = 128  # Faces.


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  data_flags.define_checkpoint(values, required=True)
  data_flags.define_data(values)
  flags.DEFINE_enum(
    "split",
    "validation",
    SPLITS,
    "The split to measure on.",
    flag_values=values,
  )
  flags.DEFINE_enum(
    "what",
    "side",
    ("side", "shape"),
    "What to vary: the side of the square, or the shape of the crop.",
    flag_values=values,
  )
  flags.DEFINE_string("detector", None, "An ONNX file.", flag_values=values)
  flags.DEFINE_string(
    "json", None, "A file for the figures.", flag_values=values
  )


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Prints the figures, and writes them to --json."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  from pattlite_jax.runtime import errors, provenance, startup

  startup.configure()
  with errors.in_one_line(data_flags.OF_COMMANDS):
    from pattlite_jax import trained
    from pattlite_jax.predict import classifier
    from pattlite_jax.predict.detection import load as detectors
    from pattlite_jax.scoring import inputs

    network = trained.load(given.checkpoint)
    scored = inputs.load_inputs(
      network,
      data_flags.data_choice(given),
      split=given.split,
      challenge_lists=None,
    )
    examples = inputs.match_classes(scored.examples, network.class_names)
    probabilities = classifier.Classifier(network).probabilities
    if given.what == "shape":
      found = measure_shape.measure(
        probabilities, examples.images[:], examples.labels
      )
    else:
      found = measure(
        probabilities,
        detectors.load(given.detector),
        examples.images[:],
        examples.labels,
      )
    result = {
      "dataset": scored.dataset,
      "split": given.split,
      "sha256": network.sha256(),
      **found,
      **provenance.environment(),
    }
  text = json.dumps(result, indent=1) + "\n"
  if given.json:
    with open(given.json, "w", encoding="utf-8") as file:
      file.write(text)
  sys.stdout.write(text)


def measure(
  probabilities: Callable[..., np.ndarray],
  detector: passes.Detector,
  images: UInt8[np.ndarray, "N H W C"],
  labels: Int[np.ndarray, "N"],
) -> dict[str, Any]:
  """Returns what is found, and the accuracy of each cut of what is found.

  Args:
    probabilities: u8[N, H, W, C] -> f32[N, K].
    detector: finds the faces again.
    images: faces, as the network was trained on.
    labels: their classes.
  """
  boxes, extra = [], 0
  for image in images:
    box, others = _found_again(image, detector)
    boxes.append(box)
    extra += others
  there = np.array([box is not None for box in boxes])
  frame = np.array([box for box in boxes if box is not None]).reshape(-1, 4)
  kept = labels[there]

  def accuracy(faces: np.ndarray | list[np.ndarray]) -> float | None:
    rows = [
      probabilities(np.array(faces[first : first + _CHUNK])).argmax(-1)
      for first in range(0, len(faces), _CHUNK)
    ]
    return float((np.concatenate(rows) == kept).mean()) if rows else None

  return {
    "detector": detector.name,
    "faces": len(images),
    "found": int(there.sum()),
    "boxes_elsewhere": extra,
    "median_box": np.round(np.median(frame, axis=0), 3).tolist()
    if len(frame)
    else None,
    "accuracy_uncut": accuracy(images[there]),
    "accuracy_by_side": {
      str(side): accuracy(
        [
          _cut(image, box, side)
          for image, box in zip(images[there], frame, strict=True)
        ]
      )
      for side in SIDES
    },
  }


def _found_again(
  image: UInt8[np.ndarray, "h w C"], detector: passes.Detector
) -> tuple[Float[np.ndarray, "4"] | None, int]:
  """Returns the box on the face, 0 to 1 in its frame, and how many others."""
  picture = canvas.lay(image)
  found = passes.find(PIL.Image.fromarray(picture), detector, passes.PASSES)
  boxes = canvas.in_frame(found.boxes, picture)
  best = canvas.on_face(boxes, found.scores)
  return (None, len(boxes)) if best is None else (boxes[best], len(boxes) - 1)


def _cut(
  image: UInt8[np.ndarray, "h w C"],
  box: Float[np.ndarray, "4"],
  side: float,
) -> UInt8[np.ndarray, "h w C"]:
  """Returns the face as the network would see it on the canvas."""
  picture = canvas.lay(image)
  square = cut.square(canvas.in_pixels(box, picture), side)
  height, width, channels = image.shape
  return face.like_training(cut.cut(picture, square), (height, width, channels))


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  app.run(main)
