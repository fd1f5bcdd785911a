"""The flags that several commands have in common.

Modules define no flags when they are imported, so that any two commands can be
imported together: each has a `define_flags(values)`, which it calls when it is
run, and a `main` that reads them.
"""

from absl import flags

from pattlite_jax.data.source import DataChoice

# The flags by the settings that errors name (`errors.in_one_line`).
OF_COMMANDS = {
  "against": "--against=<folder>",
  "challenge_lists": "--challenge_lists=<folder>",
  "checkpoint": "--checkpoint=<folder>",
  "data.name": "--dataset=<name>",
  "data.dir": "--data_dir=<folder>",
  "data.packed": "--packed=<file>",
  "data.classes": "--classes=<classes>",
  "data.on_bad_image": "--on_bad_image=skip",
}
OF_TRAINING = {
  "data.name": "--config.data.name=<name>",
  "data.dir": (
    "--config.data.dir=<folder>; to try the code without data, use "
    "--config=synthetic"
  ),
  "data.packed": "--config.data.packed=<file>",
  "data.au_file": "--config.data.au_file=<file>",
  "data.label_file": "--config.data.label_file=<file>",
  "data.classes": "--config.data.classes=<classes>",
  "data.on_bad_image": "--config.data.on_bad_image=skip",
  "data.prepared_dir": "--config.data.prepared_dir=<folder>",
  "data.soft_targets": "--config.data.soft_targets=False",
  "data.download": "--config.data.download=False",
  "distillation.teachers": "--config.distillation.teachers=<folders>",
  "model.trunk_weights": "--config.model.trunk_weights=<file>",
  "start_from": "--config.start_from=<folder>",
  "workdir": "--config.workdir=<folder>",
}

flags.disclaim_key_flags()  # --help shows them as the command's own.


def define_checkpoint(values: flags.FlagValues, *, required: bool) -> None:
  """Defines --checkpoint."""
  flags.DEFINE_string(
    "checkpoint",
    None,
    "A run's workdir, one step's folder in it, a folder that release wrote, or "
    "the name of a shipped model.",
    required=required,
    flag_values=values,
  )


def define_data(values: flags.FlagValues) -> None:
  """Defines the flags that `data_choice` reads."""
  flags.DEFINE_string(
    "dataset",
    None,
    "A data set, such as ferplus/majority; default: as in training.",
    flag_values=values,
  )
  flags.DEFINE_string(
    "data_dir",
    None,
    "Where the data set's files lie; default: as in training.",
    flag_values=values,
  )
  flags.DEFINE_string(
    "packed",
    None,
    "A file of pattlite_jax.pack, read in place of the data set's files; needs "
    "no TensorFlow.",
    flag_values=values,
  )
  flags.DEFINE_string(
    "classes",
    None,
    "Which of the data set's classes, as config.data.classes; default: as in "
    "training.",
    flag_values=values,
  )
  define_on_bad_image(values, None, "; default: as in training")


def define_on_bad_image(
  values: flags.FlagValues, default: str | None, by_default: str = ""
) -> None:
  """Defines --on_bad_image."""
  flags.DEFINE_enum(
    "on_bad_image",
    default,
    ("error", "skip"),
    "What a picture does that cannot be read, as config.data.on_bad_image"
    f"{by_default}.",
    flag_values=values,
  )


def data_choice(given: flags.FlagValues) -> DataChoice:
  """Returns the data set that the flags of `define_data` name."""
  return DataChoice(
    given.dataset,
    given.data_dir,
    given.packed,
    given.classes,
    given.on_bad_image,
  )
