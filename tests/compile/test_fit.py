"""The largest batch that fits, and what else is said before or in place of one.

No test here compiles; test_compiled.py does.
"""

import jax
import ml_collections
import pytest

from pattlite_jax.compile import fit, programs, run, slices, stand_in
from pattlite_jax.config import files as config_files
from pattlite_jax.runtime.errors import UserError


@pytest.mark.parametrize("a_chip, fixed, curved", [(7, 100, 0), (3, 0, 0.0005)])
def test_the_largest_batch_is_found_in_a_few_compilations(
  a_chip, fixed, curved
):
  tried = []

  def needed(images):
    return int(fixed + a_chip * images + curved * images**2)

  def total_bytes(images):
    tried.append(images)
    if needed(images) > 1000:
      raise programs.OutOfMemoryError(needed(images))
    return needed(images)

  found = fit.largest(total_bytes, 4096, needed(4096), 1000)
  assert needed(found) <= 1000 < needed(found + 2 + found // 20)
  assert found in tried and len(tried) <= 8


def test_nothing_fits_where_a_single_image_does_not():
  def total_bytes(images):
    raise programs.OutOfMemoryError(5000 * images)

  assert fit.largest(total_bytes, 16, 80_000, 1000) == 0


@pytest.mark.parametrize(
  "text, num_bytes",
  [
    ("Ran out of memory in memory space hbm. Used 17.50G of 15.75G hbm. "
     "Exceeded hbm capacity by 1.75G.", int(17.5 * 2**30)),
    ("Ran out of memory on HBM, the total memory required for HLO temporaries "
     "(313.28G) exceeds available HBM (15.75G).", int(313.28 * 2**30)),
  ],
)  # fmt: skip
def test_the_compilers_words_tell_the_bytes(text, num_bytes):
  assert programs.bytes_needed(f"RESOURCE_EXHAUSTED: {text}") == num_bytes


def test_other_errors_are_no_lack_of_memory():
  assert programs.bytes_needed("INTERNAL: Used 2 of 3.") is None


@pytest.mark.parametrize(
  "name, kind",
  [
    ("v5e:4x4", ("v5e", "4x4")),
    ("v5p:2x2x2", ("v5p", "2x2x2")),
    ("v5litepod-16", ("v5e", "4x4")),
    ("v5p-16", ("v5p", "2x2x2")),
    ("v6e-8", ("v6e", "2x4")),
  ],
)
def test_names_of_slices(name, kind):
  assert slices.parse(name) == kind


@pytest.mark.parametrize(
  "name", ["", "v5e", "v5e:4", "v5e:4x0", "v5p:4x4", "h100:1x1", "v5p-7"]
)
def test_other_names_are_refused_with_examples(name):
  with pytest.raises(UserError, match="such as v5e:4x4"):
    slices.parse(name)


def test_clocks_follow_from_peaks():
  clocks = {kind: chip.clock / 1e9 for kind, chip in slices.CHIPS.items()}
  assert clocks == pytest.approx({"v5e": 1.5, "v5p": 1.75, "v6e": 1.75}, 0.01)


def test_a_slice_must_share_the_batch():
  config = config_files.load("fer2013_best")
  config.batch_size = 24
  where = slices.Slice("v5e:4x4", slices.CHIPS["v5e"], jax.local_devices() * 16)
  with pytest.raises(UserError, match=r"is 24, which 16 chips.*--batch_size"):
    run.compile_all(config, where, stage="stage1", programs=["train"])


def test_black_images_have_the_shape_and_the_counts_of_the_set():
  train = stand_in.training_images(config_files.load("ferplus_best"))
  assert train.images.shape[1:] == (48, 48, 1)
  assert len(train.class_names) == 8 and train.targets.shape[1] == 8
  assert train.images.base.nbytes < 10  # A view of one pixel.


def test_chosen_classes_and_mixed_sizes_have_their_shape():
  config = ml_collections.ConfigDict(config_files.load("ck_plus"))
  config.data.classes = "happiness,negative=anger+fear"
  train = stand_in.training_images(config)
  size = config.data.image_size
  assert train.images.shape[1:] == (size, size, 1)
  assert train.class_names == ("happiness", "negative")
