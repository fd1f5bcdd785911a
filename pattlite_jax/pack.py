"""Packs a data set in one file, to use it on machines without TensorFlow.

python -m pattlite_jax.pack --dataset fer2013 --data_dir <folder> --out F.npz
python -m pattlite_jax.main --config ... --config.data.packed=F.npz
python -m pattlite_jax.evaluate --checkpoint ... --packed=F.npz
"""

import dataclasses

from absl import app, flags

from pattlite_jax.data import flags as data_flags
from pattlite_jax.runtime import output


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  flags.DEFINE_string(
    "dataset",
    None,
    "The data set, such as ferplus/argmax.",
    required=True,
    flag_values=values,
  )
  flags.DEFINE_string(
    "data_dir", "", "Where the data set's files lie.", flag_values=values
  )
  flags.DEFINE_integer(
    "image_size",
    224,
    "Pixels a side of the images of sets of mixed sizes (CK+), as "
    "config.data.image_size.",
    lower_bound=1,
    flag_values=values,
  )
  data_flags.define_on_bad_image(values, "error")
  flags.DEFINE_string(
    "out", None, "The .npz to write.", required=True, flag_values=values
  )


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Loads the data set and packs all of its splits."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  from pattlite_jax import config as config_lib
  from pattlite_jax.data import load, packed, source
  from pattlite_jax.runtime import errors

  data_set = dataclasses.replace(
    source.of_config(config_lib.get_config().data),
    name=given.dataset,
    dir=given.data_dir,
    image_size=given.image_size,
    skip_bad=given.on_bad_image == "skip",
  )
  with errors.in_one_line(data_flags.OF_COMMANDS):
    splits = data_set.load(soft_targets=load.has_targets(given.dataset))
    packed.write(given.out, given.dataset, splits)
  counts = ", ".join(f"{len(split):,} {name}" for name, split in splits.items())
  print(f"{given.out}: {counts}")


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main)
