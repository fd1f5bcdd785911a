"""The time of a step of several methods, on a small trunk."""

import json

import jax
import pytest

from pattlite_jax import methods
from pattlite_jax.benchmark import methods as bench
from pattlite_jax.config import files as config_files
from pattlite_jax.report.rows_methods import CONFIG, VARIANTS


@pytest.mark.long
@pytest.mark.slow
def test_variants_are_timed_and_counted():
  config = config_files.load("fer2013_bench")
  config.batch_size = 8
  config.model.image_size = 24
  config.model.cut = "conv_pw_1_relu"
  found = bench.measure(
    config, {"plain": {}, "larger": {"method": "label_correction"}}
  )
  for figures in found.values():
    assert 0 < figures["ms_low"] <= figures["ms"] <= figures["ms_high"] < 1e4
  assert found["plain"]["parameters"] < found["larger"]["parameters"]
  params = methods.build(config, 7).shapes["params"]
  count = sum(x.size for x in jax.tree.leaves(params))
  assert found["plain"]["parameters"] == count
  json.dumps(found)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_row_of_the_bench_is_a_run_whose_head_is_small(variant):
  """Beyond the trunk no method has more than thrice the trunk's parameters."""
  from pattlite_jax import config as config_lib

  config = config_files.load(CONFIG)
  config.update_from_flattened_dict(dict(VARIANTS[variant]))
  config_lib.check(config)
  params = methods.build(config, 7).shapes["params"]
  sizes = {
    name: sum(x.size for x in jax.tree.leaves(tree))
    for name, tree in params.items()
  }
  trunk = sizes.pop("trunk")
  assert sum(sizes.values()) < 3 * trunk, sizes
