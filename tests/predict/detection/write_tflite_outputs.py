"""Writes what MediaPipe's own file gives for two pictures: tflite_outputs.npz.

PYTHONPATH=tests python tests/predict/detection/write_tflite_outputs.py F.tflite

F is face_detection_full_range.tflite of the npm package (launch/detector.sh
fetches it). Of the 2,304 anchors those are kept that come near to a face.
"""

import pathlib
import sys

import drawn_photo
import numpy as np
import PIL.Image
import skimage.data
import tensorflow as tf

from pattlite_jax.predict.detection.view import letterbox

OUT = pathlib.Path(__file__).parent / "tflite_outputs.npz"
LOWEST = -3.0  # Logit: 5 %.


def view(name):
  """Returns the network's input, uint8 [192, 192, 3]."""
  pixels = {
    "drawn": drawn_photo.photo,
    "astronaut": skimage.data.astronaut,
  }[name]()
  picture = PIL.Image.fromarray(pixels)
  region = (0.0, 0.0, *map(float, picture.size))
  return letterbox(picture, region, 192, 192).pixels


def outputs(path, pixels):
  """Returns the anchors' [N, 16] and logits [N] of the TFLite file."""
  interpreter = tf.lite.Interpreter(path)
  interpreter.allocate_tensors()
  (given,) = interpreter.get_input_details()
  values = pixels.astype(np.float32) * np.float32(2 / 255) - 1
  interpreter.set_tensor(given["index"], values[None])
  interpreter.invoke()
  details = interpreter.get_output_details()
  found = [interpreter.get_tensor(detail["index"])[0] for detail in details]
  found.sort(key=lambda output: -output.shape[-1])
  return found[0], found[1][:, 0]


if __name__ == "__main__":
  saved = {}
  for picture in ("drawn", "astronaut"):
    pixels = view(picture)
    raw, logits = outputs(sys.argv[1], pixels)
    rows = np.flatnonzero(logits > LOWEST)
    saved |= {
      f"{picture}_pixels": pixels,
      f"{picture}_rows": rows.astype(np.int16),
      f"{picture}_raw": raw[rows],
      f"{picture}_logits": logits[rows],
    }
  np.savez_compressed(OUT, **saved)
