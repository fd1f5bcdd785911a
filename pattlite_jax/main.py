r"""Trains a network as a recipe says, or goes on where a run stopped.

  python -m pattlite_jax.main --config=synthetic
  python -m pattlite_jax.main --config=fer2013 \
    --config.data.dir=<folder of fer2013.csv>

The flags used most:
  --config=NAME           the recipe: a name, or a file such as
                          configs/fer2013.py
  --config.data.dir=DIR   where the files of the data set lie (docs/data.md)
  --config.workdir=DIR    where the run leaves checkpoints and result.json
  --config.FIELD=VALUE    any other field, for this run, such as
                          --config.batch_size=32; `python -m
                          pattlite_jax.config` lists all
  --distributed           one run on many hosts (docs/many_hosts.md)

Ctrl-C stops a run once its state is saved; the same command goes on from there.
Exit status: 0 when the run has ended, 1 for an error, 75 when a signal (Ctrl-C,
SIGTERM, SIGUSR1, or SIGHUP as from a closed terminal) or a preemption has
stopped it.
"""

import functools
import signal
import sys
from typing import Any

from absl import app, flags
from ml_collections import config_flags

from pattlite_jax.config import files as config_files
from pattlite_jax.data import flags as data_flags
from pattlite_jax.runtime import errors, hosts, output


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  config_flags.DEFINE_config_file(
    "config",
    help_string="A recipe by its name "
    f"({', '.join(config_files.names())}) or a file of your own, such as "
    "configs/fer2013.py. `python -m pattlite_jax.config` lists the fields.",
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
  from pattlite_jax.runtime import parallel

  config = given.config
  one_line = functools.partial(errors.in_one_line, data_flags.OF_TRAINING)
  # Inside, an error ends as it should; outside are those of joining.
  with one_line(), hosts.joined(given), one_line():
    from pattlite_jax.training import log, log_lines, loop, stop

    flag = given["config"]
    log.say(
      log.make_console(),
      log_lines.recipe(
        config_flags.get_config_filename(flag),
        config_flags.get_override_values(flag),
      ),
    )
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
  from pattlite_jax.scoring import text
  from pattlite_jax.training import log_lines

  rule = f" ({result['rule']})" if result["rule"] else ""
  lines = [
    f"\n{result['dataset']}{rule}, {text.network(result)}, "
    f"seed {result['seed']}; accuracy one image at a time:"
  ]
  lines += _figures(result["splits"], "per_sample")
  across = next(iter(result["splits"].values())).get("across_batch")
  if across:
    lines.append(
      f"mixed with other test images ({across['order']}, batches of "
      f"{across['batch_size']}), as published:"
    )
    lines += _figures(result["splits"], "across_batch")
  rows = [
    ("checkpoint", f"{config.workdir}/checkpoints"),
    ("pictures", f"{config.workdir}/pictures"),
    ("result", f"{config.workdir}/result.json"),
  ]
  if not config.data.packed:  # Which trains without TensorBoard's logs.
    rows.append(("curves", f"tensorboard --logdir {config.workdir}"))
  rows.append(("to use it", f'pattlite_jax.load("{config.workdir}")'))
  return "\n".join([*lines, "", log_lines.table(rows)])


def _figures(splits: dict, protocol: str) -> list[str]:
  scores = {name: split[protocol] for name, split in splits.items()}
  return [
    f"  {name:<11} {100 * s['accuracy']:6.2f} %  "
    f"of {s['num_examples']:,} images"
    for name, s in scores.items()
  ]


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main, flags_parser=config_files.parse_flags)
