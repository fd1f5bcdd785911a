"""Trains PAtt-Lite as a config says, or goes on where a run stopped.

python -m pattlite_jax.main --config configs/fer2013.py \
  --config.data.dir=<folder of fer2013.csv> [--config.<field>=<value> ...]

configs/default.py lists every field. Start the same command again to go on.
Exit status: 0 when the run has ended, 1 for an error, 75 when SIGTERM, Ctrl-C
or a preemption has stopped it and its checkpoint is saved.
"""

import functools
import signal
import sys
from typing import Any

from absl import app, flags, logging
from ml_collections import config_flags

from pattlite_jax.data import flags as data_flags
from pattlite_jax.runtime import hosts


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  config_flags.DEFINE_config_file(
    "config",
    help_string="A file of configs/.",
    flag_values=values,
    lock_config=True,
  )
  flags.mark_flag_as_required("config", flag_values=values)
  hosts.define_flags(values)


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Trains, and says where everything is."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  # Imported here so that --help needs none of it.
  from pattlite_jax.runtime import startup

  startup.configure()
  import jax

  from pattlite_jax.runtime import errors, parallel
  from pattlite_jax.training import loop, stop

  config = given.config
  one_line = functools.partial(errors.in_one_line, data_flags.OF_TRAINING)
  # Inside, an error ends as it should; outside are those of joining.
  with one_line(), hosts.joined(given), one_line():
    logging.info("Devices: %s\nConfig:\n%s", jax.devices(), config)
    try:
      result = loop.train_and_evaluate(config)
    except stop.StoppedError as stopped:
      print(stopped, file=sys.stderr)
      sys.exit(stop.EXIT_STATUS)
    except KeyboardInterrupt:  # Before the first step, or after the last.
      print("Interrupted. Start the same command again.", file=sys.stderr)
      sys.exit(128 + signal.SIGINT)
    if parallel.is_writer():
      print(_report(config, result))


def _report(config: Any, result: dict) -> str:
  """Returns the end of a run in words: figures with protocol, and paths."""
  rule = f" ({result['rule']})" if result["rule"] else ""
  lines = [
    f"\n{result['dataset']}{rule}, attention {result['attention']}, "
    f"seed {result['seed']}; accuracy one image at a time:"
  ]
  lines += _figures(result["splits"])
  if "published_protocol" in result:
    published = result["published_protocol"]
    lines.append(
      f"mixed with other test images ({published['order']}, batches of "
      f"{published['batch_size']}), as published:"
    )
    lines += _figures(published["splits"])
  lines += [
    f"checkpoint  {config.workdir}/checkpoints",
    f"pictures    {config.workdir}/pictures",
    f"result      {config.workdir}/result.json",
  ]
  if not config.data.packed:  # Which trains without TensorBoard's logs.
    lines.append(f"curves      tensorboard --logdir {config.workdir}")
  return "\n".join(lines)


def _figures(splits: dict) -> list[str]:
  return [
    f"  {name:<11} {100 * s['accuracy']:6.2f} %  of {s['num_examples']} images"
    for name, s in splits.items()
  ]


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  app.run(main)
