"""The table of several networks as one."""

import json

import pytest
from etils import epath

from pattlite_jax.report import ensembles
from pattlite_jax.runtime.errors import UserError


def test_each_ensemble_has_a_row(tmp_path):
  folder = epath.Path(tmp_path)
  assert ensembles.text(folder) == []
  figures = {"accuracy": 0.7216, "macro_f1": 0.7, "ece": 0.0376}
  found = {
    "checkpoint": "runs/best/a_seed0,/other/b_seed1",
    "splits": {"validation": {"per_sample": figures}},
  }
  (folder / "a_mean.json").write_text(json.dumps(found))
  (folder / "a_seed0.json").write_text("{}")  # Of one network.
  *_, row = ensembles.text(folder)
  assert row == (
    "| a_seed0 + b_seed1 | validation | 72.16 % | 70.00 % | 3.76 % |"
  )


def test_another_file_is_named(tmp_path):
  (tmp_path / "a_mean.json").write_text('{"splits": {}}')
  with pytest.raises(UserError, match=r"a_mean\.json is no result of evaluate"):
    ensembles.text(epath.Path(tmp_path))
