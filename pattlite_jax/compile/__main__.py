"""Compiles a recipe for a TPU slice that is not there.

python -m pattlite_jax.compile --config=fer2013_best --topology=v5e:4x4
  [--batch_size=1024] [--config.model.dtype=bfloat16] [--json F]

It prints whether the programs of a training step and of prediction compile and
fit into the chips' memory, and what the TPU compiler expects of them: time,
work, the costliest layers, the exchange between chips. It needs no TPU, no data
set, and the compiler: pip install "pattlite-jax[train,tpu_check]". A program
takes minutes. Exit status: 1 if one does not compile or does not fit.
"""

import json
from typing import Any

from absl import app, flags
from ml_collections import config_flags

from pattlite_jax.config import files as config_files
from pattlite_jax.runtime import errors, output

PROGRAMS = ("train", "predict")


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  config_flags.DEFINE_config_file(
    "config",
    help_string="A recipe by its name "
    f"({', '.join(config_files.names())}) or a file of your own.",
    flag_values=values,
    lock_config=True,
  )
  for name, text in (
    (
      "topology",
      "The slice: a kind of chip (v5e, v5p, v6e) and chips a side, such as "
      "v5e:4x4 or v5p:2x2x2, or an accelerator type such as v5litepod-16.",
    ),
    ("json", "A file for all figures."),
  ):
    flags.DEFINE_string(name, None, text, flag_values=values)
  flags.DEFINE_integer(
    "batch_size",
    None,
    "Images a step, of all chips; by default config.batch_size.",
    lower_bound=1,
    flag_values=values,
  )
  flags.DEFINE_enum(
    "stage",
    "stage1",
    ("stage1", "stage2"),
    "The stage of training.",
    flag_values=values,
  )
  flags.DEFINE_multi_enum(
    "program",
    PROGRAMS,
    PROGRAMS,
    "What to compile; may be repeated.",
    flag_values=values,
  )
  flags.mark_flags_as_required(["config", "topology"], flag_values=values)


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Compiles, prints the figures and writes what the flags ask for."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  # Imported here so that --help needs none of it.
  from pattlite_jax.compile import page, slices
  from pattlite_jax.runtime import durable, provenance, startup

  with errors.in_one_line():
    slices.require_compiler()
    slices.prepare()
    startup.configure()
    result = _compile(given)
    print(page.text(result))
    if given.json:
      file = durable.named(given.json)
      file.parent.mkdir(parents=True, exist_ok=True)
      found = json.dumps(result | provenance.environment(), indent=1)
      durable.write_text(file, found + "\n")


def _compile(given: flags.FlagValues) -> dict[str, Any]:
  from pattlite_jax.compile import run, slices

  config = given.config
  if given.batch_size:
    config.batch_size = given.batch_size
  return run.compile_all(
    config,
    slices.get(given.topology),
    stage=given.stage,
    programs=given.program,
  )


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main, flags_parser=config_files.parse_flags)
