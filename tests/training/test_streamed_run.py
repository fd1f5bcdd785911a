"""A run on images that stay on disk is the run on images in memory."""

import jax
import numpy as np
import pytest
from made_set import NEVER, read, write_set
from small_run import StoppedError, fit, saved_best


@pytest.mark.slow
def test_a_stopped_run_ends_the_same_from_memory_and_from_disk(
  quick_config, tmp_path
):
  config = quick_config
  folder = write_set(tmp_path / "faces", sizes=(16, 14), count=5)
  config.workdir, config.data.memory_gb = str(tmp_path / "memory"), 1.0
  expected, _ = fit(config, read(folder, 1.0))
  weights = saved_best(config)

  config.workdir, config.data.memory_gb = str(tmp_path / "disk"), NEVER
  config.checkpoint_every_steps = 2
  with pytest.raises(StoppedError):
    fit(config, read(folder), stop_at=4)  # In the second epoch.
  found, _ = fit(config, read(folder))  # It goes on.
  jax.tree.map(np.testing.assert_array_equal, saved_best(config), weights)
  assert found["splits"] == expected["splits"]
  assert found["skipped_images"] == {"train": 0, "validation": 0, "test": 0}
