"""Writes a finished run as a folder of plain files, with a model card.

python -m pattlite_jax.release --checkpoint runs/fer2013_best --out DIR
  [--split validation] [--dataset ferplus/argmax --data_dir <folder>]

The folder holds the best weights (safetensors), config.json, and README.md: the
card, whose figures are measured here, one image at a time. What it needs of the
training (command, revision, machine, hours) comes from the run's folder.
`pattlite_jax.load(DIR)` and every --checkpoint take it.
"""

from absl import app, flags

from pattlite_jax.data.load import SPLITS

_CHECKPOINT = flags.DEFINE_string(
  "checkpoint", None, "The workdir of a finished run.", required=True
)
_OUT = flags.DEFINE_string("out", None, "The folder to write.", required=True)
_DATASET = flags.DEFINE_string(
  "dataset", None, "A data set to score; default: that of the training."
)
_DATA_DIR = flags.DEFINE_string(
  "data_dir", None, "Where the data set's files lie; default: as in training."
)
_SPLIT = flags.DEFINE_enum("split", "validation", SPLITS, "What is scored.")


def main(argv: list[str]) -> None:
  """Scores the weights and writes the folder."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  # Imported here so that --help needs none of it.
  from pattlite_jax.runtime import errors, startup

  startup.configure()
  with errors.in_one_line(data_flags=True):
    from pattlite_jax.release import write

    write.release(
      _CHECKPOINT.value,
      _OUT.value,
      dataset=_DATASET.value,
      data_dir=_DATA_DIR.value,
      split=_SPLIT.value,
    )
  print(f"The model and its card are in {_OUT.value}.")


if __name__ == "__main__":
  app.run(main)
