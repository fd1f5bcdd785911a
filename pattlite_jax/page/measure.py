"""Times the page in a browser: detection, a face, and what is transferred.

python -m pattlite_jax.page.measure --node_modules node_modules
  [--network ferplus] [--chromium /usr/bin/chromium] [--times 20]
  --json results/page.json

`npm install playwright-core onnxruntime-web` leaves the folder that
--node_modules names. The page is served from this machine to a headless
Chromium, and given the same picture again and again: two drawn faces.
"""

import contextlib
import functools
import http.server
import json
import pathlib
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
from absl import app, flags

from pattlite_jax.data.drawing import face
from pattlite_jax.runtime import output
from pattlite_jax.runtime.errors import UserError

_SCRIPT = pathlib.Path(__file__).with_name("measure.mjs")
_SIZE = (1000, 700)  # Width, height.
_FACE = 350  # Pixels a side.


def measure(
  network: str, node_modules: str, chromium: str, times: int
) -> dict[str, Any]:
  """Returns medians of milliseconds, and the bytes of all files of the page.

  Raises:
    UserError: as `page.write.write`; if the browser fails.
  """
  from pattlite_jax.page import write

  with tempfile.TemporaryDirectory() as folder:
    transfer = write.write(network, f"{folder}/page", node_modules)
    picture = pathlib.Path(folder) / "faces.png"
    _two_faces().save(picture)
    with served(f"{folder}/page") as url:
      said = _browsed(node_modules, chromium, url, picture, times)
  # The first one compiles.
  detection, one_face = np.array(said["milliseconds"][1:], float).T
  return {
    "chromium": said["version"],
    "picture": list(_SIZE),
    "detection_ms": float(np.median(detection)),
    "face_ms": float(np.median(one_face)),
    "bytes": transfer.raw,
    "compressed_bytes": transfer.compressed,
  }


def _two_faces() -> PIL.Image.Image:
  picture = PIL.Image.new("L", _SIZE, 200)
  for k, expression in enumerate((0, 3)):
    drawn = face.draw_face(np.random.default_rng(k), expression)[..., 0]
    large = PIL.Image.fromarray(drawn).resize((_FACE, _FACE))
    picture.paste(large, (80 + 480 * k, 150))
  return picture


class _Handler(http.server.SimpleHTTPRequestHandler):
  def log_message(self, format: str, *args: Any) -> None:
    """Says nothing."""


@contextlib.contextmanager
def served(folder: str) -> Iterator[str]:
  """Serves a folder to this machine; yields its address."""
  handler = functools.partial(_Handler, directory=folder)
  with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def _browsed(
  node_modules: str,
  chromium: str,
  url: str,
  picture: pathlib.Path,
  times: int,
) -> dict[str, Any]:
  folder = pathlib.Path(node_modules).expanduser().resolve()
  command = ["node", _SCRIPT, folder, chromium, url, picture, times]
  try:
    done = subprocess.run(
      list(map(str, command)), capture_output=True, text=True, check=False
    )
  except FileNotFoundError as error:
    raise UserError("Node is needed: there is no `node` on the PATH.") from (
      error
    )
  if done.returncode:
    lines = done.stderr.strip().splitlines() or ["no word of why"]
    reason = next((line for line in lines if "Error" in line), lines[0])
    raise UserError(f"The browser failed: {reason}")
  return json.loads(done.stdout.splitlines()[-1])


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  for name, text in (
    (
      "node_modules",
      "Where npm has installed playwright-core and the runtime.",
    ),
    ("json", "The file to write."),
  ):
    flags.DEFINE_string(name, None, text, required=True, flag_values=values)
  for name, default, text in (
    ("network", "ferplus", "The network, as pattlite_jax.load takes it."),
    ("chromium", shutil.which("chromium") or "chromium", "The browser."),
  ):
    flags.DEFINE_string(name, default, text, flag_values=values)
  flags.DEFINE_integer(
    "times", 20, "How often.", lower_bound=2, flag_values=values
  )


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Times the page, prints the figures, and writes --json."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  # Imported here so that --help needs none of it.
  from pattlite_jax.runtime import durable, errors, provenance, startup

  startup.configure()
  with errors.in_one_line(), startup.without_chatter():
    found = measure(
      given.network, given.node_modules, given.chromium, given.times
    )
  result = {**found, **provenance.environment()}
  durable.write_text(
    durable.named(given.json), json.dumps(result, indent=1) + "\n"
  )
  print(
    f"Detection {found['detection_ms']:.0f} ms, a face {found['face_ms']:.1f} "
    f"ms, {found['compressed_bytes'] / 1e6:.1f} MB compressed; Chromium "
    f"{found['chromium']}"
  )


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main)
