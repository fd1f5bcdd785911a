"""`pattlite_jax.main` that notes the images a host draws, and may die.

Environment: DRAWN names a folder for one line a batch; DIES_AT="host:step" is
where SIGKILL strikes, and then JAX misses a host in 20 seconds instead of 100;
STOPS_AT="host:step" is where SIGTERM arrives; PACE is in seconds a batch.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import signal
import time

import jax
from absl import app, flags

from pattlite_jax import main
from pattlite_jax.training import inputs


def watched(load):
  def watched_inputs(config):
    found = load(config)
    return dataclasses.replace(found, make_batches=noted(found.make_batches))

  return watched_inputs


def noted(make_batches):
  def batches(examples, *, first_step, host, **others):
    path = pathlib.Path(os.environ["DRAWN"]) / f"{host}.jsonl"
    drawn = make_batches(examples, first_step=first_step, host=host, **others)
    for step, batch in enumerate(drawn, first_step + 1):
      if os.environ.get("DIES_AT") == f"{host}:{step}":
        os.kill(os.getpid(), signal.SIGKILL)
      if os.environ.get("STOPS_AT") == f"{host}:{step}":
        os.kill(os.getpid(), signal.SIGTERM)
      time.sleep(float(os.environ.get("PACE", "0")))
      images = batch["image"][batch["mask"]]
      digests = [
        hashlib.sha256(image.tobytes()).hexdigest() for image in images
      ]
      with path.open("a") as file:
        file.write(json.dumps({"step": step, "images": digests}) + "\n")
      yield batch

  return batches


if __name__ == "__main__":
  inputs.load = watched(inputs.load)
  if "DIES_AT" in os.environ:
    jax.distributed.initialize = functools.partial(
      jax.distributed.initialize, heartbeat_timeout_seconds=20
    )
  main.define_flags(flags.FLAGS)
  app.run(main.main)
