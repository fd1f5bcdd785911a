"""What `python -m pattlite_jax.predict` does with its flags."""

import os
import pathlib
import sys
from collections.abc import Iterator
from concurrent import futures
from typing import Any

from absl import flags

from pattlite_jax.predict import cut, outputs, photo, run, sources
from pattlite_jax.predict import network as network_lib
from pattlite_jax.predict.detection import load as detectors
from pattlite_jax.predict.detection import passes as passes_lib
from pattlite_jax.predict.network import Network
from pattlite_jax.predict.outputs import Output
from pattlite_jax.predict.progress import Progress
from pattlite_jax.predict.rows import Result
from pattlite_jax.predict.sources import Source
from pattlite_jax.runtime import errors
from pattlite_jax.runtime.errors import UserError

_INTERRUPTED = 130  # The exit status after Ctrl-C, as shells have it.


def execute(paths: list[str], given: flags.FlagValues) -> int:
  """Looks at all that the paths hold; returns the exit status.

  Raises:
    UserError: if a flag cannot be followed.
  """
  if given.resume and not (given.csv or given.json):
    raise UserError("--resume goes on with the file of --csv or --json.")
  names = [os.path.realpath(f) for f in (given.csv, given.json) if f]
  if len(set(names)) < len(names):
    raise UserError("--csv and --json have one name, but need two files.")
  with errors.about("passes"):
    passes = photo.checked_passes(given.passes or passes_lib.PASSES)
  detector, network = _loaded(given)
  settings = run.Settings(
    passes=passes,
    video_passes=passes if given.passes else ("whole",),
    every=given.every,
    fps=given.fps,
    pictures=pathlib.Path(given.pictures).expanduser()
    if given.pictures
    else None,
    caption=f"{network.name}: what annotators would read from these faces, "
    "not what people feel.",
  )
  if settings.pictures:
    settings.pictures.mkdir(parents=True, exist_ok=True)
  files = _outputs(given, network, _about(network, detector, settings))
  outputs.open_all(files, resume=given.resume)
  reader = photo.Reader(
    network.probabilities, network.image_shape, network.class_names, detector
  )
  try:
    return _look(paths, reader, settings, files, network)
  finally:
    for file in files:
      file.close()


def _loaded(
  given: flags.FlagValues,
) -> tuple[detectors.AnyDetector | None, Network]:
  """Returns the detector, if one is needed, and the network.

  Beside each other, as both take onnxruntime a while.
  """

  def detector():
    with errors.about("detector"):
      return None if given.faces else detectors.load(given.detector)

  with futures.ThreadPoolExecutor(1) as pool:
    found = pool.submit(detector)
    network = network_lib.load(given.model)
    return found.result(), network


def _about(
  network: Network,
  detector: detectors.AnyDetector | None,
  settings: run.Settings,
) -> dict[str, Any]:
  """Returns what each line of JSON says beside its result."""
  return {
    "network": {
      "name": network.name,
      "sha256": network.sha256,
      "preprocessing": network.preprocessing,
      "backend": network.backend,
    },
    "detector": detector
    and {
      "name": detector.name,
      "sha256": detector.session.sha256,
      "min_score": detector.min_score,
      "passes": list(settings.passes),
      "video_passes": list(settings.video_passes),
      "cut": f"a square of {cut.SIDE} times the box's mean side",
    },
  }


def _outputs(
  given: flags.FlagValues, network: Network, about: dict[str, Any]
) -> list[Output]:
  files = []
  if given.csv:
    files.append(outputs.csv_output(given.csv, network.class_names))
  if given.json:
    files.append(outputs.json_output(given.json, about))
  return files


def _look(
  paths: list[str],
  reader: photo.Reader,
  settings: run.Settings,
  files: list[Output],
  network: Network,
) -> int:
  """Runs over all sources; returns the exit status."""
  detector = "no detector" if reader.detector is None else reader.detector.name
  _say(
    f"{network.name} (sha256 {network.sha256}) by {network.backend}; {detector}"
  )
  without = str(settings.pictures) if settings.pictures else None
  progress = Progress(_total(paths, without))

  tally = run.Tally()  # With what an earlier run could not read.

  def todo() -> Iterator[Source]:
    for source in sources.sources(paths, sys.stdin, without):
      if outputs.are_done(files, source.shown):
        progress.skip()
        if any(source.shown in file.unreadable for file in files):
          tally.unreadable += 1
      else:
        yield source

  def add(result: Result) -> None:
    for file in files:
      file.add(result)
    if not files:
      progress.clear()
      print(*_lines(result), sep="\n", flush=True)

  status = 0
  try:
    run.run(todo(), reader, settings, add, progress, tally)
  except KeyboardInterrupt:
    # A camera has no other end.
    status = 0 if any(map(sources.is_camera, paths)) else _INTERRUPTED
  progress.clear()
  for warning in tally.warnings:
    _say(f"Warning: {warning}")
  _say(_summary(tally, progress))
  if status == _INTERRUPTED:
    _say("Stopped; --resume goes on." if files else "Stopped.")
  return status or int(tally.unreadable + tally.without_copy > 0)


def _total(paths: list[str], without: str | None) -> int | None:
  """Returns how many files there are, if somebody sees it."""
  if sources.STDIN in paths or not sys.stderr.isatty():
    return None
  return sum(1 for _ in sources.sources(paths, without=without))


def _lines(result: Result) -> Iterator[str]:
  """Yields a line a face, for people."""
  name = result.file
  if result.time_s is not None:
    name += f" at {result.time_s:.2f} s"
  if result.error:
    yield f"{name}: unreadable: {result.error}"
  elif not result.faces:
    yield f"{name}: no face"
  for number, face in enumerate(result.faces, 1):
    left, top, right, bottom = map(round, face.box)
    yield (
      f"{name}: face {number} at {left},{top} to {right},{bottom}: "
      f"{face.expression} {face.probability:.1%}"
    )


def _summary(tally: run.Tally, progress: Progress) -> str:
  text = (
    f"{_count(tally.files, 'file')}, {_count(tally.faces, 'face')} "
    f"({progress.rate():.1f} a second)"
  )
  if tally.unreadable:
    text += f"; {_count(tally.unreadable, 'file')} could not be read"
  return f"{text}."


def _count(number: int, name: str) -> str:
  return f"{number:,} {name}{'' if number == 1 else 's'}"


def _say(text: str) -> None:
  print(text, file=sys.stderr, flush=True)
