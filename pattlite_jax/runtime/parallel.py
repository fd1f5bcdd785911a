"""Devices and hosts: no other file knows how many there are.

Steps are mapped over the axis AXIS, `jax.pmap`'s. Training state goes in and
comes out whole (in_axes and out_axes None), so it never has a device axis.
"""

import collections
import contextlib
import contextvars
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax._src import distributed
from jax.experimental import multihost_utils
from jaxtyping import Array, Bool, Float, Int, PyTree, Shaped

from pattlite_jax.runtime import coordinator
from pattlite_jax.runtime.errors import UserError

_platform = contextvars.ContextVar("platform", default="")
AXIS = "data"  # The name of the mapped axis: devices that share a batch.
# Preparing a large data set takes minutes; JAX ends a run with a dead host.
_EXCHANGE_MS = 3_600_000


def initialize(
  coordinator_address: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
) -> None:
  """Joins this process to a multi-host run; call before any computation.

  On TPU pods, SLURM, Open MPI and Kubernetes JAX finds the values itself.

  Raises:
    UserError: if JAX finds none; if no process can be, or is, the coordinator.
  """
  if coordinator_address:
    coordinator.check(coordinator_address, is_own=process_id == 0)
  try:
    jax.distributed.initialize(coordinator_address, num_processes, process_id)
  except ValueError as error:
    raise UserError(
      f"JAX found no TPU pod, SLURM, Kubernetes or Open MPI here ({error}) "
      "Pass --coordinator_address=<host 0>:<port> --num_processes=<N> "
      "--process_id=<0 to N-1>, or leave out --distributed."
    ) from None


def require_devices() -> None:
  """Raises UserError if JAX can compute on nothing."""
  try:
    jax.devices()
  except (AssertionError, RuntimeError) as error:
    raise UserError(
      f"JAX finds no device of JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS')} "
      f"({_first_line(error)}). Set JAX_PLATFORMS=cpu, or leave it out for "
      'what there is; GPUs need pip install "pattlite-jax[cuda]" and a driver, '
      'TPUs pip install "pattlite-jax[tpu]".'
    ) from None


def _first_line(error: Exception) -> str:
  return str(error).partition("\n")[0] or "there is no such plugin"


def num_devices() -> int:
  """Returns the number of devices of the whole run."""
  return jax.device_count()


def host() -> tuple[int, int]:
  """Returns (index of this host, number of hosts)."""
  return jax.process_index(), jax.process_count()


def is_distributed() -> bool:
  """Whether `initialize` has joined this process to a run of several."""
  return jax.distributed.is_initialized()


def is_writer() -> bool:
  """Whether this host writes logs, pictures and results."""
  return jax.process_index() == 0


def exchange(name: str, text: str) -> list[str]:
  """Returns the texts that all hosts give under a name, in order of hosts.

  Waits for each of them. Unlike a collective, this also works between hosts
  that differ in devices or versions.
  """
  index, num_hosts = host()
  if num_hosts == 1:
    return [text]
  # JAX has no public name for its key-value store.
  client = distributed.global_state.client
  assert client is not None
  client.key_value_set(f"pattlite_jax/{name}/{index}", text)
  return [
    client.blocking_key_value_get(f"pattlite_jax/{name}/{i}", _EXCHANGE_MS)
    for i in range(num_hosts)
  ]


def connect() -> None:
  """Waits for all hosts, then opens what connects their devices; once.

  Gloo, between CPUs, gives the hosts 30 seconds for their first collective and
  much more for each later one.
  """
  if jax.process_count() > 1:
    exchange("connect", "")
    multihost_utils.sync_global_devices("connect")


def check_batch_size(batch_size: int) -> None:
  """Raises UserError unless the devices share a batch equally."""
  if batch_size % num_devices():
    raise UserError(
      f"config.batch_size is {batch_size}, which {num_devices()} devices "
      "cannot share equally; make it a multiple of their number."
    )


def pmap_train_step(
  step: Callable[..., Any], devices: Sequence[jax.Device] | None = None
) -> Any:
  """Maps steps(state, batches, key) -> (state, metrics) over the devices.

  With several hosts the state that comes back has None for each array that the
  step hands on. `devices` may be some that are not there, to lower and compile
  for them.
  """
  hosts = {device.process_index for device in devices or jax.devices()}
  # Donated arrays cannot be host-local views of a multi-host run.
  donates = len(hosts) == 1
  return jax.pmap(
    step if donates else _changes(step),
    axis_name=AXIS,
    in_axes=(None, 0, None),
    out_axes=None,
    donate_argnums=(0,) if donates else (),
    devices=devices,
  )


def _changes(step: Callable[..., Any]) -> Callable[..., Any]:
  """Lets `step` return None for each array of the state that it hands on.

  Without donation, XLA would copy all of a frozen trunk at every step.
  """

  def changes(state, batches, shared):
    new, metrics = step(state, batches, shared)
    changed = jax.tree.map(
      lambda new, old: None if new is old else new, new, state
    )
    return changed, metrics

  return changes


def map_predict_step(
  step: Callable[..., Any], devices: Sequence[jax.Device] | None = None
) -> Any:
  """Maps step(variables, batch) -> logits over the devices.

  For `devices` see `pmap_train_step`.
  """
  if jax.process_count() > 1:
    return jax.pmap(step, axis_name=AXIS, in_axes=(None, 0))

  # The same without pmap's own Python, which a single image would feel. pmap
  # alone takes the host-local arrays of several hosts.
  def on_device(variables, batch):
    return step(variables, jax.tree.map(lambda x: x[0], batch))[None]

  sharding = _sharding(jax.sharding.PartitionSpec(AXIS), devices)
  return jax.jit(
    jax.shard_map(
      on_device,
      mesh=sharding.mesh,
      in_specs=(jax.sharding.PartitionSpec(), sharding.spec),
      out_specs=sharding.spec,
      check_vma=False,
    )
  )


@contextlib.contextmanager
def programs_for(platform: str) -> Iterator[None]:
  """Lets what is traced meanwhile be for a platform that is not here."""
  before = _platform.set(platform)
  try:
    yield
  finally:
    _platform.reset(before)


def platform() -> str:
  """Returns what programs are for: "cpu", "gpu" or "tpu"."""
  return _platform.get() or jax.default_backend()


def num_sharing() -> int:
  """Inside a step: the number of devices that share the batch."""
  return jax.lax.axis_size(AXIS)


def global_rows(num_rows: int) -> Int[Array, "B"]:
  """Inside a step: the places of this device's rows in the global batch."""
  first = jax.lax.axis_index(AXIS) * num_rows
  return first + jax.lax.iota("int32", num_rows)


def batch_mean(
  values: Float[Array, "B"], mask: Bool[Array, "B"]
) -> Float[Array, ""]:
  """Inside a step: the mean over the global batch's rows where `mask` is True.

  Gradients flow to the rows of all devices.
  """
  total = jax.lax.psum((values * mask).sum(), AXIS)
  return total / jax.lax.psum(mask.sum(), AXIS)


def gather_batch(
  rows: Shaped[Array, "b *rest"], axis_name: str | None = AXIS
) -> Shaped[Array, "B *rest"]:
  """Inside a step: the rows of all devices, in the order of the global batch.

  Without an axis, outside of a mapped step, they are all there already.
  """
  if axis_name is None:
    return rows
  return jax.lax.all_gather(rows, axis_name, tiled=True)


def pad_to_devices(batch_size: int) -> int:
  """Returns the smallest batch size from `batch_size` up to be shared."""
  return -(-batch_size // num_devices()) * num_devices()


def replicate(tree: PyTree) -> PyTree:
  """Places arrays on every local device, as the mapped steps return them.

  Arrays that lie elsewhere cost a copy a call, and a compilation of their own.
  """
  return jax.device_put(tree, _sharding(jax.sharding.PartitionSpec()))


def no_transfers() -> contextlib.AbstractContextManager[None]:
  """Makes it an error to use an array that does not lie on the devices.

  Not in a run of several hosts, where pmap itself moves what it is given.
  """
  several = jax.process_count() > 1
  return jax.transfer_guard("allow" if several else "disallow")


def _sharding(
  spec: jax.sharding.PartitionSpec,
  devices: Sequence[jax.Device] | None = None,
) -> jax.sharding.NamedSharding:
  mesh = jax.sharding.Mesh(np.asarray(devices or jax.local_devices()), (AXIS,))
  return jax.sharding.NamedSharding(mesh, spec)


def device_batches(
  batches: Iterable[dict[str, np.ndarray]],
) -> Iterator[dict[str, Array]]:
  """Splits each host's batches over its devices, ahead of their use.

  Arrays go from [b, ...] to [local devices, b / local devices, ...].
  """
  return on_devices(batches, batch_axis=0)


def on_devices(
  trees: Iterable[dict[str, np.ndarray]],
  *,
  batch_axis: int,
  prefetch: int = 2,
) -> Iterator[dict[str, Array]]:
  """Splits the batch axis over this host's devices, ahead of use.

  The axis of the local devices becomes the first.
  """
  sharding = _sharding(jax.sharding.PartitionSpec(AXIS))
  devices = jax.local_device_count()

  def put(x: np.ndarray) -> Array:
    x = np.asarray(x)
    before, after = x.shape[:batch_axis], x.shape[batch_axis + 1 :]
    shares = np.moveaxis(x.reshape(*before, devices, -1, *after), batch_axis, 0)
    return jax.device_put(shares, sharding)

  return _ahead(({k: put(x) for k, x in t.items()} for t in trees), prefetch)


def _ahead(items: Iterable[Any], count: int) -> Iterator[Any]:
  """Yields the items, `count` of them computed ahead."""
  queue: collections.deque = collections.deque()
  for item in items:
    queue.append(item)
    if len(queue) > count:
      yield queue.popleft()
  yield from queue


def gather_rows(
  shares: list[Float[Array, "D b K"]], batch_size: int
) -> Float[np.ndarray, "N K"]:
  """Returns the first `batch_size` rows of each batch, one after the other.

  Each share is this host's part of a batch; hosts hold consecutive rows.
  """
  num_classes = shares[0].shape[-1]
  local = np.stack(jax.device_get(shares))
  local = local.reshape(len(shares), -1, num_classes)  # [batches, rows, K]
  if jax.process_count() > 1:
    hosts = multihost_utils.process_allgather(local)  # [hosts, batches, ...]
    local = np.concatenate(list(hosts), axis=1)
  return local[:, :batch_size].reshape(-1, num_classes)
