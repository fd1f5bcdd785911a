"""Writes a finished run as a folder of plain files, with a model card.

python -m pattlite_jax.release --checkpoint runs/fer2013_best --out DIR
  [--split validation] [--dataset ferplus/argmax --data_dir <folder>]
  [--packed F.npz] [--nocalibrate]

The folder holds the best weights (safetensors), config.json, and README.md: the
card, whose figures are measured here, one image at a time. What it needs of the
training (command, revision, machine, hours) comes from the run's folder. The
logits are divided by a temperature that is fitted on the validation split.
`pattlite_jax.load(DIR)` and every --checkpoint take it.
"""

from absl import app, flags

from pattlite_jax.data import flags as data_flags
from pattlite_jax.data.examples_check import SPLITS
from pattlite_jax.runtime import output


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  flags.DEFINE_string(
    "checkpoint",
    None,
    "The workdir of a finished run, or a folder that was released before.",
    required=True,
    flag_values=values,
  )
  flags.DEFINE_string(
    "out", None, "The folder to write.", required=True, flag_values=values
  )
  data_flags.define_data(values)
  flags.DEFINE_enum(
    "split", "validation", SPLITS, "The split to score.", flag_values=values
  )
  flags.DEFINE_bool(
    "calibrate",
    True,
    "Divide the logits by the temperature that fits the validation split best.",
    flag_values=values,
  )


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Scores the weights and writes the folder."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  # Imported here so that --help needs none of it.
  from pattlite_jax.runtime import errors, startup

  startup.configure()
  with errors.in_one_line(data_flags.OF_COMMANDS):
    from pattlite_jax.release import write

    write.release(
      given.checkpoint,
      given.out,
      data_flags.data_choice(given),
      split=given.split,
      calibrate=given.calibrate,
    )
  print(f"The model and its card are in {given.out}.")


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main)
