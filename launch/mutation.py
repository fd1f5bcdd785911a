"""Changes the code in small ways, and counts the changes that tests notice.

pip install cosmic-ray; python launch/mutation.py [--per_module 12] [--seed 0]
  [--modules PATH ...] [--json results/mutation.json]

cosmic-ray finds all places for a change (an operator, a number, a condition, a
loop, a decorator), and of each module some are drawn and tried on its tests.
The changes are made to a copy of the last commit. What --json has of other
modules stays.
"""

import argparse
import json
import os
import pathlib
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import WorkerOutcome, WorkItem, WorkResult

from pattlite_jax.runtime import durable, provenance

# Each module with what runs it in seconds.
TESTS = {
  "pattlite_jax/training/step.py": "tests/training/test_step.py",
  "pattlite_jax/training/resume.py": "tests/training/test_resume.py",
  "pattlite_jax/runtime/parallel.py": (
    "tests/runtime/test_parallel.py tests/training/test_step.py"
  ),
  "pattlite_jax/weights/checkpoint.py": (
    "tests/weights/test_checkpoint.py tests/weights/test_save_errors.py"
  ),
  "pattlite_jax/weights/checkpoint_items.py": (
    "tests/weights/test_checkpoint.py"
  ),
  "pattlite_jax/weights/safetensors_io.py": (
    "tests/weights/test_trunk.py tests/test_trained.py"
  ),
  "pattlite_jax/weights/trunk.py": "tests/weights/test_trunk.py",
  "pattlite_jax/scoring/metrics.py": "tests/scoring/test_metrics.py",
  "pattlite_jax/data/sampling.py": "tests/data/test_sampling.py",
  "pattlite_jax/data/pipeline.py": "tests/data/test_pipeline.py",
  "pattlite_jax/data/examples.py": (
    "tests/data/test_examples.py tests/data/test_pipeline.py"
  ),
  "pattlite_jax/audit/batch_dependence.py": (
    "tests/audit/test_batch_dependence.py"
  ),
  "pattlite_jax/audit/duplicates.py": "tests/audit/test_duplicates.py",
}
# A | B in an annotation fails when it is imported, which says nothing.
_LEFT_OUT = "core/ReplaceBinaryOperator_BitOr"


def main() -> None:
  """Tries the changes, prints a table, and writes --json."""
  flags = argparse.ArgumentParser(description=__doc__)
  flags.add_argument("--per_module", type=int, default=12)
  flags.add_argument("--seed", type=int, default=0)
  flags.add_argument("--modules", nargs="*", default=list(TESTS))
  flags.add_argument("--json")
  given = flags.parse_args()
  environment = provenance.environment()
  found = _found_before(given.json)
  with tempfile.TemporaryDirectory() as folder:
    copy = pathlib.Path(folder) / "copy"
    subprocess.run(
      ["git", "worktree", "add", "-q", "--detach", copy], check=True
    )
    try:
      for module in given.modules:
        found[module] = {
          **_try(copy, module, given.per_module, given.seed),
          "git_revision": environment["git_revision"],
        }
        print(_row(module, found[module]), flush=True)
    finally:
      subprocess.run(["git", "worktree", "remove", "--force", copy], check=True)
  total = {
    name: sum(of_module[name] for of_module in found.values())
    for name in ("tried", "noticed")
  }
  print(_row("all", total))
  if given.json:
    result = {**total, "modules": found, **environment}
    durable.write_text(given.json, json.dumps(result, indent=1) + "\n")


def _found_before(path: str | None) -> dict[str, Any]:
  """Returns what a result says of modules, which are tried in several runs."""
  if not path or not os.path.exists(path):
    return {}
  return json.loads(pathlib.Path(path).read_text())["modules"]


def _row(name: str, found: dict[str, Any]) -> str:
  share = 100 * found["noticed"] / max(found["tried"], 1)
  return f"{name}: {found['noticed']} of {found['tried']} ({share:.0f} %)"


def _try(
  copy: pathlib.Path, module: str, count: int, seed: int
) -> dict[str, Any]:
  """Returns what became of `count` changes of a module.

  Raises RuntimeError if its tests fail as it is.
  """
  tests = f"-m pytest -x -q -p no:cacheprovider -m 'not slow' {TESTS[module]}"
  command = f"{shlex.quote(sys.executable)} {tests}"
  env = os.environ | {
    "PYTHONPATH": os.pathsep.join(
      [str(copy), os.environ.get("PYTHONPATH", "")]
    ),
    # What a change leaves as it was need not be compiled again.
    "JAX_COMPILATION_CACHE_DIR": str(copy.parent / "compiled"),
  }

  def run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
      words, cwd=copy, env=env, capture_output=True, text=True, check=False
    )

  run(shlex.split(command))  # Compiles.
  start = time.monotonic()
  done = run(shlex.split(command))
  if done.returncode:
    raise RuntimeError(f"{module}: its tests fail as it is.\n{done.stdout}")
  config = copy.parent / "config.toml"
  config.write_text(
    "[cosmic-ray]\n"
    f"module-path = {json.dumps(module)}\n"
    f"timeout = {60 + 5 * (time.monotonic() - start)}\n"
    "excluded-modules = []\n"
    f"test-command = {json.dumps(command)}\n"
    '[cosmic-ray.distributor]\nname = "local"\n'
  )
  session = copy.parent / f"{module.replace('/', '_')}.sqlite"
  cosmic_ray = [sys.executable, "-m", "cosmic_ray.cli"]
  for words in (["init", config, session], ["exec", config, session]):
    done = run([*cosmic_ray, *map(str, words)])
    if done.returncode:
      raise RuntimeError(f"cosmic-ray {words[0]} failed.\n{done.stderr}")
    if words[0] == "init":
      places = _draw(session, count, seed)
  with use_db(session, WorkDB.Mode.open) as database:
    tried = [
      result
      for _, result in database.results
      if result.worker_outcome != WorkerOutcome.SKIPPED
    ]
  survived = [result.diff for result in tried if not result.is_killed]
  return {
    "places": places,
    "tried": len(tried),
    "noticed": len(tried) - len(survived),
    "survived": survived,
  }


def _draw(session: pathlib.Path, count: int, seed: int) -> int:
  """Leaves `count` places for `exec` to try; returns how many there are."""
  with use_db(session, WorkDB.Mode.open) as database:
    places = [
      item.job_id
      for item in sorted(database.pending_work_items, key=_place)
      if not item.mutations[0].operator_name.startswith(_LEFT_OUT)
    ]
    drawn = set(random.Random(seed).sample(places, min(count, len(places))))
    skipped = WorkResult(WorkerOutcome.SKIPPED)
    for item in list(database.pending_work_items):
      if item.job_id not in drawn:
        database.set_result(item.job_id, skipped)
  return len(places)


def _place(item: WorkItem) -> tuple[Any, ...]:
  """Returns what is the same in each run; the items come in any order."""
  change = item.mutations[0]
  return change.start_pos, change.operator_name, change.occurrence


if __name__ == "__main__":
  main()
