"""Packs a data set in one file, to train on machines without TensorFlow.

python -m pattlite_jax.pack --dataset fer2013 --data_dir <folder> --out F.npz
python -m pattlite_jax.main --config ... --config.data.packed=F.npz
"""

from absl import app, flags

_DATASET = flags.DEFINE_string(
  "dataset", None, "Such as ferplus/argmax.", required=True
)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Where its files lie.")
_IMAGE_SIZE = flags.DEFINE_integer(
  "image_size",
  224,
  "As config.data.image_size: of sets of mixed sizes (CK+).",
  lower_bound=1,
)
_OUT = flags.DEFINE_string("out", None, "The .npz to write.", required=True)


def main(argv: list[str]) -> None:
  """Loads the data set and packs all of its splits."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  from pattlite_jax import config as config_lib
  from pattlite_jax.data import load, packed
  from pattlite_jax.runtime import errors

  fields = config_lib.get_config().data
  with errors.in_one_line(data_flags=True):
    splits = load.load_splits(
      _DATASET.value,
      data_dir=_DATA_DIR.value,
      prepared_dir=fields.prepared_dir,
      image_size=_IMAGE_SIZE.value,
      soft_targets=load.has_targets(_DATASET.value),
    )
    packed.write(_OUT.value, _DATASET.value, splits)
  counts = ", ".join(f"{len(split):,} {name}" for name, split in splits.items())
  print(f"{_OUT.value}: {counts}")


if __name__ == "__main__":
  app.run(main)
