"""TPU slices that are not there, as the TPU compiler knows them.

Nothing here touches a TPU: the compiler comes as the wheel libtpu.
"""

import dataclasses
import importlib.util
import os
import re
from collections.abc import Sequence

import jax

from pattlite_jax.runtime.errors import UserError

_GIB = 1 << 30


@dataclasses.dataclass(frozen=True)
class Chip:
  """What Google's documentation says of a kind of chip, but for `memory`.

  Attributes:
    flops: the peak of bf16 products a second.
    cycle_flops: the same a cycle, of all its matrix units.
    bandwidth: bytes a second from and to its memory.
    links: bytes a second that it sends to other chips, over all links.
    memory: bytes that a program may use, as the compiler says when it refuses
      one.
    host: the chips that a host of a larger slice has, x by y by z.
    one_host: other shapes that one host may have.
  """

  flops: float
  cycle_flops: int
  bandwidth: float
  links: float
  memory: int
  host: tuple[int, int, int] = (2, 2, 1)
  one_host: tuple[str, ...] = ()

  @property
  def clock(self) -> float:
    """Cycles a second: 1.5e9 on a v5e."""
    return self.flops / self.cycle_flops


# cloud.google.com/tpu/docs/v5e, /v5p and /v6e. A unit of 128 x 128 takes a
# product and a sum a place and cycle; a v5e has 4 of them, a v5p 8, and a v6e
# as much as 16.
CHIPS = {
  "v5e": Chip(
    197e12, 4 * 2 * 128**2, 819e9, 200e9, int(15.75 * _GIB),
    one_host=("1x1", "2x4"),
  ),
  "v5p": Chip(
    459e12, 8 * 2 * 128**2, 2765e9, 600e9, int(95.74 * _GIB),
    one_host=("1x1x1",),
  ),
  "v6e": Chip(
    918e12, 16 * 2 * 128**2, 1640e9, 448e9, int(31.25 * _GIB),
    one_host=("1x1", "2x4"),
  ),
}  # fmt: skip
# Of `gcloud compute tpus ... --accelerator-type`: v5e and v6e count chips, v5p
# cores, of which a chip has two.
_ACCELERATORS = {
  "v5litepod": ("v5e", 1),
  "v5p": ("v5p", 2),
  "v6e": ("v6e", 1),
}
# Google's default shapes by the number of chips.
_SHAPES = {
  2: {
    1: "1x1", 4: "2x2", 8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8",
    128: "8x16", 256: "16x16",
  },
  3: {
    4: "2x2x1", 8: "2x2x2", 16: "2x2x4", 32: "2x4x4", 64: "4x4x4",
    128: "4x4x8", 256: "4x8x8", 512: "8x8x8",
  },
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Slice:
  """A slice: its name, such as v5e:4x4, its kind of chip, and its devices."""

  name: str
  chip: Chip
  devices: Sequence[jax.Device]

  @property
  def hosts(self) -> int:
    """The number of hosts."""
    return len({device.process_index for device in self.devices})


def prepare() -> None:
  """Keeps JAX and libtpu from looking for a TPU; before JAX computes.

  The compiler alone takes no TPU, so several may run at once.
  """
  os.environ["JAX_PLATFORMS"] = "cpu"
  jax.config.update("jax_platforms", "cpu")
  jax.config.update("jax_enable_compilation_cache", False)  # It is timed.
  for name, value in (
    ("TPU_SKIP_MDS_QUERY", "1"),
    ("TPU_WORKER_HOSTNAMES", "localhost"),
    ("TPU_ACCELERATOR_TYPE", "v5litepod-4"),
    ("ALLOW_MULTIPLE_LIBTPU_LOAD", "1"),
    ("TPU_MIN_LOG_LEVEL", "3"),
    ("TPU_STDERR_LOG_LEVEL", "3"),
  ):
    os.environ.setdefault(name, value)


def require_compiler() -> None:
  """Raises UserError where libtpu is not installed."""
  if importlib.util.find_spec("libtpu") is None:
    raise UserError(
      "The TPU compiler is not installed. Install it with: "
      'pip install "pattlite-jax[tpu_check]"'
    )


def get(name: str) -> Slice:
  """Returns the slice of a name such as v5e:4x4, or v5litepod-16.

  Raises:
    UserError: if there is no such slice.
  """
  from jax.experimental import topologies

  kind, shape = parse(name)
  chip = CHIPS[kind]
  dims = [int(n) for n in shape.split("x")]
  host = list(chip.host)
  if shape in chip.one_host:
    host = dims + [1] * (3 - len(dims))
  try:
    found = topologies.get_topology_desc(
      platform="tpu",
      topology_name=f"{kind}:{shape}",
      chips_per_host_bounds=host,
    )
  except jax.errors.JaxRuntimeError as error:
    reason = str(error).partition("\n")[0]
    raise UserError(f"There is no slice {name!r} ({reason}). {_ALLOWED}") from (
      None
    )
  return Slice(f"{kind}:{shape}", chip, found.devices)


_ALLOWED = (
  f"A slice is {', '.join(CHIPS)} and chips a side, such as v5e:4x4 or "
  "v5p:2x2x2, each a multiple of 2 or all of one host; or an accelerator type "
  "such as v5litepod-16."
)


def parse(name: str) -> tuple[str, str]:
  """Returns the kind and the shape, such as ("v5e", "4x4")."""
  accelerator = re.fullmatch(r"(\w+)-(\d+)", name)
  if accelerator and accelerator[1] in _ACCELERATORS:
    kind, cores = _ACCELERATORS[accelerator[1]]
    shapes = _SHAPES[3 if kind == "v5p" else 2]
    chips, rest = divmod(int(accelerator[2]), cores)
    if rest or chips not in shapes:
      raise UserError(
        f"There is no accelerator {name!r}, or its shape is not known; name "
        f"the slice. {_ALLOWED}"
      )
    return kind, shapes[chips]
  kind, _, shape = name.partition(":")
  dims = "3" if kind == "v5p" else "2"
  if kind not in CHIPS or not re.fullmatch(
    rf"[1-9]\d*(x[1-9]\d*){{{int(dims) - 1}}}", shape
  ):
    raise UserError(f"There is no slice {name!r}. {_ALLOWED}")
  return kind, shape
