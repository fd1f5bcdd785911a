"""Our file and decoding, beside what MediaPipe's own file gives."""

import pathlib

import numpy as np
import PIL.Image
import pytest
import skimage.data

from pattlite_jax.predict.detection import blazeface, boxes, load
from pattlite_jax.predict.detection.boxes import Detections

SAVED = np.load(pathlib.Path(__file__).parent / "tflite_outputs.npz")


@pytest.fixture(scope="module")
def detector():
  return load.load()


def reference(raw, logits, rows, min_score):
  """MediaPipe's two calculators, a box at a time, as its C++ code has them."""
  candidates = []
  for values, logit, row in zip(raw, logits, rows, strict=True):
    score = 1 / (1 + np.exp(-float(logit)))
    if score < min_score:
      continue
    y, x = divmod(int(row), 48)
    x_centre = values[0] / 192 * 1.0 + (x + 0.5) / 48
    y_centre = values[1] / 192 * 1.0 + (y + 0.5) / 48
    width, height = values[2] / 192, values[3] / 192
    box = [x_centre - width / 2, y_centre - height / 2]
    candidates.append((score, [*box, box[0] + width, box[1] + height]))
  candidates.sort(key=lambda c: -c[0])
  found = []
  while candidates:
    first = candidates[0]
    same = [c for c in candidates if iou(first[1], c[1]) > 0.3]
    total = sum(score for score, _ in same)
    mean = [sum(s * b[i] for s, b in same) / total for i in range(4)]
    found.append((first[0], mean))
    candidates = [c for c in candidates if c not in same]
  return found


def iou(a, b):
  width = min(a[2], b[2]) - max(a[0], b[0])
  height = min(a[3], b[3]) - max(a[1], b[1])
  if width <= 0 or height <= 0:
    return 0.0
  shared = width * height
  areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
  return shared / (sum(areas) - shared)


@pytest.mark.parametrize("name", ["drawn", "astronaut"])
def test_the_onnx_file_gives_what_the_tflite_file_gives(detector, name):
  values = SAVED[f"{name}_pixels"].astype(np.float32) * np.float32(2 / 255) - 1
  outputs = detector.session(values[None])
  outputs.sort(key=lambda output: -output.shape[-1])
  rows = SAVED[f"{name}_rows"]
  np.testing.assert_allclose(
    outputs[0][0, rows], SAVED[f"{name}_raw"], atol=1e-3
  )
  np.testing.assert_allclose(
    outputs[1][0, rows, 0], SAVED[f"{name}_logits"], atol=1e-4
  )
  others = np.delete(outputs[1][0, :, 0], rows)
  assert others.max() < -2.99


@pytest.mark.parametrize("name, count", [("drawn", 3), ("astronaut", 1)])
def test_boxes_are_those_of_mediapipe(name, count):
  raw, logits, rows = (SAVED[f"{name}_{k}"] for k in ("raw", "logits", "rows"))
  all_raw = np.zeros((48 * 48, 16), np.float32)
  all_logits = np.full(48 * 48, -9, np.float32)
  all_raw[rows], all_logits[rows] = raw, logits
  found = blazeface.decode(all_raw, all_logits, 0.6)
  found = boxes.merge_weighted(found, 0.3)
  expected = reference(raw, logits, rows, 0.6)
  assert len(found) == len(expected) == count
  np.testing.assert_allclose(
    found.boxes / 192, [box for _, box in expected], atol=1e-6
  )
  np.testing.assert_allclose(found.scores, [s for s, _ in expected], rtol=1e-6)


@pytest.mark.parametrize("name", ["drawn", "astronaut"])
def test_a_picture_is_given_as_mediapipe_gives_it(detector, name):
  picture = PIL.Image.fromarray(SAVED[f"{name}_pixels"])
  found = detector.find(picture, (0.0, 0.0, 192.0, 192.0))
  values = (SAVED[f"{name}_{k}"] for k in ("raw", "logits", "rows"))
  expected = reference(*values, detector.min_score)
  scores, boxes_there = zip(*expected, strict=True)
  np.testing.assert_allclose(found.boxes / 192, boxes_there, atol=1e-5)
  np.testing.assert_allclose(found.scores, scores, atol=1e-5)


def test_the_weights_are_stored_as_float16():
  assert 1_050_000 < load.SHIPPED.stat().st_size < 1_070_000


def test_boxes_come_back_in_the_pictures_pixels(detector):
  picture = PIL.Image.fromarray(skimage.data.astronaut())
  found = detector.find(picture, (0.0, 0.0, 512.0, 512.0))
  shifted = PIL.Image.new("RGB", (900, 600))
  shifted.paste(picture, (300, 50))
  moved = detector.find(shifted, (300.0, 50.0, 812.0, 562.0))
  assert isinstance(found, Detections) and len(found) == 1
  np.testing.assert_allclose(moved.boxes - [300, 50] * 2, found.boxes, atol=0.1)
  # Her face, by hand.
  np.testing.assert_allclose(found.boxes[0], [172, 65, 282, 175], atol=12)
