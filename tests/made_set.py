"""A small set of JPEGs in folders of its own, in memory or on disk."""

import itertools

import numpy as np
import PIL.Image

from pattlite_jax.data import load

NEVER = 1e-9  # GB that no image fits into.


def write_set(folder, sizes=(20, 20, 24), count=8):
  """Writes JPEGs of two classes and three splits, in colour."""
  rng = np.random.default_rng(0)
  for split, name in itertools.product(("train", "val", "test"), "ab"):
    place = folder / split / name
    place.mkdir(parents=True)
    for number in range(count):
      size = sizes[number % len(sizes)]
      coarse = rng.integers(0, 256, (5, 5, 3), np.uint8)
      picture = PIL.Image.fromarray(coarse).resize((size, size))
      picture.save(place / f"{number}.jpg", subsampling=number % 3)
  return folder


def read(folder, memory_gb=NEVER, **options):
  return load.load_splits(
    "folders",
    data_dir=str(folder),
    prepared_dir=f"{folder}-prepared",
    image_size=16,
    memory_gb=memory_gb,
    **options,
  )
