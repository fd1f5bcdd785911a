"""What it costs to find a face and cut it out, beside the data set's own cut.

python -m pattlite_jax.predict.measure_cut --checkpoint ferplus --json F
  [--dataset ferplus/argmax --data_dir DIR] [--packed F.npz]
  [--split validation] [--detector F.onnx]

Each face is laid on a canvas, four times as large, with its last pixels
repeated around it. The detector finds it again, and squares of several sides
around its box are classified. `results/cut_<network>.json` are of this command.
"""

import json
import sys
from typing import Any

from absl import app, flags

SCALE = 4  # Pixels of the canvas for one of the face.
SIDES = (0.9, 1.0, 1.05, 1.1, 1.2, 1.3, 1.45)
_CHUNK = 128  # Faces.


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  from pattlite_jax.data import flags as data_flags

  data_flags.define_checkpoint(values, required=True)
  data_flags.define_data(values)
  flags.DEFINE_enum(
    "split",
    "validation",
    ["train", "validation", "test"],
    "The split to measure on.",
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
  from pattlite_jax.data import flags as data_flags
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
    found = measure(
      classifier.Classifier(network).probabilities,
      detectors.load(given.detector),
      examples.images,
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
  probabilities: Any, detector: Any, images: Any, labels: Any
) -> dict[str, Any]:
  """Returns what is found, and the accuracy of each cut of what is found.

  Args:
    probabilities: u8[N, H, W, C] -> f32[N, K].
    detector: a `detection.passes.Detector`.
    images: u8[N, H, W, C] faces, as they were trained on.
    labels: i32[N].
  """
  import numpy as np

  boxes, extra = [], 0
  for image in images:
    box, others = _found_again(image, detector)
    boxes.append(box)
    extra += others
  there = np.array([box is not None for box in boxes])
  frame = np.array([box for box in boxes if box is not None]).reshape(-1, 4)
  kept, shape = labels[there], images.shape[1:]

  def accuracy(faces: Any) -> float | None:
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
    "median_box": np.round(np.median(frame, axis=0), 3).tolist(),
    "accuracy_uncut": accuracy(images[there]),
    "accuracy_by_side": {
      str(side): accuracy(
        [
          _cut(image, box, side, shape)
          for image, box in zip(images[there], frame, strict=True)
        ]
      )
      for side in SIDES
    },
  }


def _canvas(image: Any) -> Any:
  """Returns RGB pixels: the face in the middle, as large again around it."""
  import numpy as np
  import PIL.Image

  height, width, channels = image.shape
  face = PIL.Image.fromarray(image[..., 0] if channels == 1 else image)
  large = face.convert("RGB").resize(
    (width * SCALE, height * SCALE), PIL.Image.Resampling.BICUBIC
  )
  rows, columns = height * SCALE // 2, width * SCALE // 2
  return np.pad(
    np.asarray(large), ((rows, rows), (columns, columns), (0, 0)), "edge"
  )


def _found_again(image: Any, detector: Any) -> tuple[Any, int]:
  """Returns the box on the face, 0 to 1 in its frame, and how many others."""
  import numpy as np
  import PIL.Image

  from pattlite_jax.predict.detection import passes

  canvas = _canvas(image)
  found = passes.find(PIL.Image.fromarray(canvas), detector, passes.PASSES)
  height, width, _ = canvas.shape
  boxes = found.boxes / ([width / 2, height / 2] * 2) - 0.5
  centres = (boxes[:, :2] + boxes[:, 2:]) / 2
  inside = np.flatnonzero(((centres > 0.2) & (centres < 0.8)).all(axis=1))
  if not len(inside):
    return None, len(found)
  best = inside[found.scores[inside].argmax()]
  return boxes[best], len(found) - 1


def _cut(image: Any, box: Any, side: float, shape: Any) -> Any:
  from pattlite_jax.predict import cut, face

  canvas = _canvas(image)
  height, width, _ = canvas.shape
  placed = (box + 0.5) * ([width / 2, height / 2] * 2)
  square = cut.square(placed, side)
  return face.like_training(cut.cut(canvas, square), shape)


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  app.run(main)
