"""What hosts must have in common, on made-up hosts."""

import dataclasses
import json

import numpy as np
import pytest

from pattlite_jax import config as config_lib
from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime import parallel
from pattlite_jax.training import preflight

RECORD = {
  "hostname": "a",
  "git revision": "1234",
  "jax": "0.10.2",
  "number of local devices": 4,
  "config.seed": 0,
  "config.workdir": "gs://bucket/run",
  "train split": "9x16x16x1, sha256 0123",
}


@pytest.fixture
def splits(make_examples):
  return {"train": make_examples(9), "test": make_examples(0)}


@pytest.fixture
def as_host(monkeypatch):
  """Returns a maker of this process into one host of two.

  The other one, in a dict of its own, has what this one has but for `changes`.
  """

  def make(index, *, sees=True, **changes):
    def exchange(name, text):
      if name == "token" and index == 1:
        return ["preflight-of-host-0", text]
      theirs = json.loads(text) if name != "token" else None
      if name == "record":
        theirs |= {"hostname": "other"} | changes
      if name == "seen":
        theirs = sees
      texts = [text, json.dumps(theirs)]
      return texts if index == 0 else texts[::-1]

    monkeypatch.setattr(preflight, "_SHOW_UP_SECONDS", 0.0)
    monkeypatch.setattr(parallel, "host", lambda: (index, 2))
    monkeypatch.setattr(parallel, "is_writer", lambda: index == 0)
    monkeypatch.setattr(parallel, "exchange", exchange)

  return make


def test_equal_hosts_differ_in_nothing():
  assert preflight.differences([RECORD, RECORD | {"hostname": "b"}]) == []


@pytest.mark.parametrize(
  "name, value",
  [
    ("git revision", None),
    ("jax", "0.11.0"),
    ("number of local devices", 2),
    ("config.seed", 1),
    ("train split", "9x16x16x1, sha256 4567"),
  ],
)
def test_a_difference_is_a_line_with_hosts_and_values(name, value):
  others = [
    RECORD | {"hostname": "b"},
    RECORD | {"hostname": "c", name: value},
  ]
  assert preflight.differences([RECORD, *others]) == [
    f"{name} is {value!r} on host 2 (c), but {RECORD[name]!r} on host 0 (a)."
  ]


def test_what_only_one_host_has_is_a_difference():
  other = RECORD | {"hostname": "b", "config.new_field": 3}
  assert preflight.differences([RECORD, other]) == [
    "config.new_field is 3 on host 1 (b), but None on host 0 (a)."
  ]


def test_a_host_that_does_not_see_the_workdir_is_named():
  (line,) = preflight.unshared(
    [RECORD, RECORD | {"hostname": "b"}], [True, False]
  )
  for part in (
    "'gs://bucket/run' of host 1 (b)",
    "host 0 (a)",
    "--config.work",
  ):
    assert part in line


def test_the_fingerprint_changes_with_all_that_examples_hold(make_examples):
  examples = make_examples(5)
  images, labels, ids = (
    getattr(examples, name).copy() for name in ("images", "labels", "ids")
  )
  images[3, 0, 0, 0] ^= 1
  labels[3] = (labels[3] + 1) % 3
  ids[3] = "0-9"
  others = [
    dataclasses.replace(examples, **change)
    for change in (
      {"images": images},
      {"labels": labels},
      {"ids": ids},
      {"class_names": ("happiness", "disgust", "anger")},
      {"images": examples.images.reshape(5, 8, 32, 1)},
      {"targets": np.full([5, 3], 1 / 3, np.float32)},
    )
  ]
  others.append(examples.take(np.arange(4)))
  words = {examples_lib.fingerprint(e) for e in [examples, *others]}
  assert len(words) == 8
  assert examples_lib.fingerprint(make_examples(5)) in words


def test_the_record_names_versions_fields_and_data(small_config, splits):
  record = preflight.own_record(config_lib.flat(small_config.to_dict()), splits)
  assert {
    "hostname",
    "git revision",
    "python",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "numpy",
    "number of local devices",
    "config.stage2.monitor",
    "train split",
    "test split",
  } <= record.keys()
  assert json.loads(json.dumps(record)) == record


def test_one_host_writes_and_asks_nothing(small_config, monkeypatch, tmp_path):
  monkeypatch.setattr(parallel, "exchange", None)
  preflight.check(config_lib.flat(small_config.to_dict()), {})
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("index", [0, 1])
def test_hosts_that_agree_leave_nothing_behind(
  small_config, splits, as_host, tmp_path, index
):
  (tmp_path / "run").mkdir()
  (tmp_path / "run/preflight-of-host-0").touch()
  as_host(index)
  preflight.check(config_lib.flat(small_config.to_dict()), splits)
  left = [path.name for path in (tmp_path / "run").iterdir()]
  assert left == ["preflight-of-host-0"]


def test_all_differences_come_at_once(small_config, splits, as_host):
  as_host(0, sees=False, **{"config.seed": 5, "jax": "0.1"})
  with pytest.raises(ValueError) as error:
    preflight.check(config_lib.flat(small_config.to_dict()), splits)
  lines = str(error.value).splitlines()
  assert len(lines) == 4
  assert any("config.seed is 5 on host 1 (other)" in line for line in lines)


def test_a_local_workdir_is_found_out(small_config, splits, as_host):
  as_host(1)  # Where what host 0 wrote does not show.
  with pytest.raises(ValueError, match=r"config.workdir .* of host 1"):
    preflight.check(config_lib.flat(small_config.to_dict()), splits)
