"""Before the first step of many hosts: do they run the same thing?

Hosts that differ in code, config or data would train on nonsense or hang, at
best. All compare what they have and all stop with the same list.
"""

import json
import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from absl import logging
from etils import epath

from pattlite_jax.data import examples as examples_lib
from pattlite_jax.runtime import parallel, provenance
from pattlite_jax.runtime.errors import UserError

# What a host has, by name; `hostname` alone may differ.
Record = dict[str, Any]
_SHOW_UP_SECONDS = 30.0  # Network file systems show a new file with a delay.


def check(
  fields: Mapping[str, Any], splits: dict[str, examples_lib.Examples]
) -> None:
  """Raises UserError, a line for each difference, unless hosts agree.

  Also asks whether all see the workdir of host 0. Returns at once on one host.
  """
  index, num_hosts = parallel.host()
  if num_hosts == 1:
    return
  workdir = epath.Path(fields["workdir"])
  token = workdir / f"preflight-{uuid.uuid4().hex}"
  if parallel.is_writer():
    workdir.mkdir(parents=True, exist_ok=True)
    token.write_text("Host 0 wrote this for the others to see.\n")
  try:
    records = _exchange("record", own_record(fields, splits))
    name = parallel.exchange("token", token.name)[0]
    seen = _exchange("seen", _shows_up(workdir / name))
  finally:
    if parallel.is_writer():
      token.unlink()
  lines = differences(records) + unshared(records, seen)
  if lines:
    raise UserError("The hosts differ:\n  " + "\n  ".join(lines))
  if parallel.is_writer():
    logging.info(
      "Preflight: %d hosts agree, with %d local devices each, at revision %s.",
      num_hosts,
      jax.local_device_count(),
      records[index]["git revision"],
    )


def own_record(
  fields: Mapping[str, Any], splits: dict[str, examples_lib.Examples]
) -> Record:
  """Returns what must be the same everywhere, and this host's name."""
  environment = provenance.environment()
  data = {f"{k} split": examples_lib.fingerprint(v) for k, v in splits.items()}
  return {
    "hostname": socket.gethostname(),
    "git revision": environment["git_revision"],
    **environment["versions"],
    "number of local devices": jax.local_device_count(),
    **{f"config.{name}": value for name, value in fields.items()},
    **data,
  }


def differences(records: Sequence[Record]) -> list[str]:
  """Returns a line for each thing in which a host differs from host 0."""
  first = records[0]
  return [
    f"{name} is {record.get(name)!r} on host {index} ({record['hostname']}), "
    f"but {first.get(name)!r} on host 0 ({first['hostname']})."
    for index, record in enumerate(records)
    for name in {**first, **record}
    if name != "hostname" and record.get(name) != first.get(name)
  ]


def unshared(records: Sequence[Record], seen: Sequence[bool]) -> list[str]:
  """Returns a line for each host that does not see the workdir of host 0."""
  first = records[0]
  return [
    f"config.workdir {record['config.workdir']!r} of host {index} "
    f"({record['hostname']}) is not that of host 0 ({first['hostname']}): a "
    "file that host 0 wrote there does not show. Pass --config.workdir=<a "
    "folder on storage that all hosts share, or gs://...>."
    for index, (record, sees) in enumerate(zip(records, seen, strict=True))
    if not sees
  ]


def _exchange(name: str, value: Any) -> list[Any]:
  return [json.loads(t) for t in parallel.exchange(name, json.dumps(value))]


def _shows_up(path: epath.Path) -> bool:
  deadline = time.monotonic() + _SHOW_UP_SECONDS
  while not path.exists():
    if time.monotonic() > deadline:
      return False
    time.sleep(0.5)
  return True
