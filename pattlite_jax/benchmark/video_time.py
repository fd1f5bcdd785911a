"""How fast `predict` reads a video, beside its parts called one by one.

The video is made: 400 x 300 pixels, a drawn face that moves a little. Both ways
use the same open detector and network, find the same faces, and write a row a
face.
"""

import csv
import pathlib
import tempfile
import time
from typing import Any

import cv2
import numpy as np
import onnxruntime
import PIL.Image

from pattlite_jax.benchmark import summary
from pattlite_jax.data.drawing import face
from pattlite_jax.predict import cut, network, outputs, photo, run, sources
from pattlite_jax.predict.detection import load as detectors
from pattlite_jax.predict.face import like_training
from pattlite_jax.predict.progress import Progress
from pattlite_jax.predict.video import Writer

FRAMES, WIDTH, HEIGHT = 240, 400, 300
_SIDE = 140  # Pixels of the face.


def measure(rounds: int) -> dict[str, Any]:
  """Returns frames a second of both ways, and the ratio of their times."""
  detector, own = detectors.load(), network.load("ferplus")
  reader = photo.Reader(
    own.probabilities, own.image_shape, own.class_names, detector
  )
  times: dict[str, list[float]] = {"predict": [], "by hand": []}
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "video.mp4"
    _make(path)
    for number in range(rounds):
      rows = pathlib.Path(folder) / f"{number}.csv"
      for name, way in (("predict", _predict), ("by hand", _by_hand)):
        start = time.perf_counter()
        faces = way(path, reader, rows.with_stem(f"{number} {name}"))
        times[name].append(time.perf_counter() - start)
        if faces != FRAMES:
          raise RuntimeError(f"{name} found {faces} faces in {FRAMES} frames.")
  seconds = {name: summary.of_seconds(found) for name, found in times.items()}
  return {
    "frames": FRAMES,
    "width": WIDTH,
    "height": HEIGHT,
    "onnxruntime": onnxruntime.__version__,
    "frames_per_second": {
      name: FRAMES / (found["ms"] / 1e3) for name, found in seconds.items()
    },
    "times": seconds,
    "ratio": seconds["predict"]["ms"] / seconds["by hand"]["ms"],
  }


def _make(path: pathlib.Path) -> None:
  drawn = PIL.Image.fromarray(
    face.draw_face(np.random.default_rng(0), 3)[..., 0]
  )
  large = drawn.convert("RGB").resize((_SIDE, _SIDE))
  with Writer(str(path), 25.0) as writer:
    for number in range(FRAMES):
      canvas = PIL.Image.new("RGB", (WIDTH, HEIGHT), (96, 104, 112))
      canvas.paste(large, (120 + number % 40, 80))
      writer.write(np.asarray(canvas))


def _predict(
  path: pathlib.Path, reader: photo.Reader, rows: pathlib.Path
) -> int:
  """Reads the video as the command does; returns the number of faces."""
  settings = run.Settings(
    ("whole",), ("whole",), every=1, fps=None, pictures=None, caption=""
  )
  file, tally = outputs.csv_output(str(rows), reader.class_names), run.Tally()
  outputs.open_all([file], resume=False)
  found = sources.sources([str(path)])
  run.run(found, reader, settings, file.add, Progress(None), tally)
  file.close()
  return tally.faces


def _by_hand(
  path: pathlib.Path, reader: photo.Reader, rows: pathlib.Path
) -> int:
  """The shortest loop over the parts that gives the same rows."""
  assert reader.detector is not None
  whole = (0.0, 0.0, float(WIDTH), float(HEIGHT))
  capture, faces = cv2.VideoCapture(str(path)), 0
  with rows.open("w", newline="") as file:
    writer = csv.writer(file)
    while True:
      is_there, pixels = capture.read()
      if not is_there:
        return faces
      rgb = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
      picture = PIL.Image.fromarray(rgb)
      found = reader.detector.find(picture, whole)
      for box in found.boxes:
        square = cut.square(box)
        image = like_training(cut.cut(rgb, square), reader.image_shape)
        (probabilities,) = reader.probabilities(image[None])
        writer.writerow([*box, *probabilities])
        file.flush()
        faces += 1
