"""Where networks come from, as files of this and of older versions say it."""

import json

import pytest

from pattlite_jax import config as config_lib
from pattlite_jax.runtime import origin
from pattlite_jax.runtime.origin import Origin
from pattlite_jax.training import resume

PLAIN = Origin("ferplus/argmax", "530303196102bc43", ())
TAUGHT = Origin("fer2013", "eed262c1d8b1ae8a", ("runs/a", "b", "c"))


@pytest.mark.parametrize("known", [PLAIN, TAUGHT])
def test_it_comes_back_from_json(known):
  stored = json.loads(json.dumps(known.to_json()))
  assert stored.keys() == {"dataset", "sha256", "ancestors"}
  assert Origin.from_json(stored) == known


@pytest.mark.parametrize(
  ("text", "known"),
  [
    ("ferplus/argmax, sha256 530303196102bc43", PLAIN),
    ("fer2013, sha256 eed262c1d8b1ae8a, from runs/a, from b,c", TAUGHT),
  ],
)
def test_the_text_of_older_versions_is_read(text, known):
  assert Origin.from_json(text) == known


def test_it_reads_as_text():
  assert str(PLAIN) == "ferplus/argmax, sha256 530303196102bc43"
  assert str(TAUGHT) == (
    "fer2013, sha256 eed262c1d8b1ae8a, from runs/a, from b, from c"
  )


def test_a_run_goes_on_from_a_checkpoint_of_an_older_version():
  networks = {"started_from": {"x": TAUGHT}, "taught_by": {"y": PLAIN}}
  new = {
    f"{part} {name}": stored
    for part, named in origin.networks_to_json(networks).items()
    for name, stored in named.items()
  }
  old = {
    "started_from x": "fer2013, sha256 eed262c1d8b1ae8a, from runs/a, from b,c",
    "taught_by y": "ferplus/argmax, sha256 530303196102bc43",
  }
  assert _changes(old, new) == []
  assert _changes(new, new) == []
  other = {**old, "taught_by y": "ferplus/argmax, sha256 0000000000000000"}
  (change,) = _changes(other, new)
  assert change == {
    "field": "taught_by y",
    "old": "ferplus/argmax, sha256 0000000000000000",
    "new": str(PLAIN),
  }


def _changes(old, new):
  config = config_lib.get_config().to_dict()
  images = {"train images": "0123"}
  return resume.changes(
    {"config": config, "data": old | images},
    {"config": config, "data": new | images},
  )
