"""How a training step should scale over TPU chips, by a model: no measurement.

The compiler's estimates of one step with many and with few images a chip say
what a step takes whatever the batch, and what each image takes. Added are the
all-reduces, one after the other: their bytes, twice, over a chip's links, and
the way of each across the slice and back.
"""

import dataclasses

from etils import epath

from pattlite_jax.compile import slices
from pattlite_jax.runtime import json_file
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring.text import markdown_table

FOLDER = "tpu"  # Of results/: what `python -m pattlite_jax.compile` writes.
SLICES = ("1x1", "2x2", "4x4", "8x8", "16x16")
_KIND = "v5e"
_HOP = 1e-6  # Seconds from a chip to the next, assumed.
_WRAPPED = 16  # Chips a side from which a v5e's rows are closed to rings.
_STEP = "train step, stage1"


@dataclasses.dataclass(frozen=True)
class Step:
  """What a step takes: seconds, and what chips exchange."""

  fixed: float
  an_image: float
  images: int  # A chip, of the larger of both programs.
  exchanges: int
  num_bytes: int

  def seconds(self, images: float | int, chips_a_side: int) -> float:
    """Returns the time of a step with so many images a chip."""
    return (
      self.fixed
      + self.an_image * images
      + self.for_bytes(chips_a_side)
      + self.for_hops(chips_a_side)
    )

  def for_bytes(self, chips_a_side: int) -> float:
    """Returns the time that the bytes of all exchanges take."""
    chips = chips_a_side**2
    links = slices.CHIPS[_KIND].links
    return 2 * self.num_bytes * (chips - 1) / chips / links

  def for_hops(self, chips_a_side: int) -> float:
    """Returns the time of the ways there and back, of all exchanges."""
    wrapped = chips_a_side >= _WRAPPED
    way = chips_a_side // 2 if wrapped else chips_a_side - 1
    return 2 * 2 * way * _HOP * self.exchanges


def read(results: epath.Path) -> Step | None:
  """Returns the step of two programs that differ in images a chip.

  None unless both are there.

  Raises:
    UserError: if a file is not of `compile`, or they are of one size.
  """
  paths = sorted((results / FOLDER).glob("*.json"))
  if len(paths) < 2:
    return None
  try:
    programs = [json_file.read(path)["programs"][_STEP] for path in paths]
    few, *_, many = sorted(programs, key=lambda own: own["images_a_chip"])
    images = many["images_a_chip"] - few["images_a_chip"]
    an_image = (many["step_ms"] - few["step_ms"]) / images / 1e3
    (exchange,) = many["collectives"]
    return Step(
      fixed=many["step_ms"] / 1e3 - an_image * many["images_a_chip"],
      an_image=an_image,
      images=many["images_a_chip"],
      exchanges=exchange["count"],
      num_bytes=exchange["bytes"],
    )
  except (LookupError, TypeError, ValueError, ZeroDivisionError) as error:
    raise UserError(
      f"{results / FOLDER} does not hold what `python -m pattlite_jax.compile` "
      f"says of two batch sizes: {error!r}"
    ) from error


def table(step: Step) -> list[str]:
  """Returns a row a slice: the batch grows with the chips, or stays."""
  one = step.seconds(step.images, 1)
  rows = []
  for shape in SLICES:
    side = int(shape.partition("x")[0])
    chips = side**2
    seconds = step.seconds(step.images, side)
    shared = step.images / chips
    alone = step.seconds(shared, side)
    rows.append(
      (
        f"{chips} (`{_KIND}:{shape}`)",
        f"{step.images * chips:,}",
        f"{1e3 * step.for_bytes(side):.3f}",
        f"{1e3 * step.for_hops(side):.2f}",
        f"{step.images * chips / seconds:,.0f}",
        f"{one / seconds:.0%}",
        *(
          (f"{shared:.0f}", f"{1e3 * alone:.2f}", f"{one / chips / alone:.0%}")
          if shared >= 1
          else ("below 1", "none", "none")
        ),
      )
    )
  columns = (
    "chips", "batch size", "ms for bytes", "ms for hops", "images/s",
    "efficiency", f"batch {step.images}: images a chip", "ms a step",
    "efficiency",
  )  # fmt: skip
  return [
    f"A step takes {1e3 * step.fixed:.2f} ms whatever the batch, and "
    f"{1e6 * step.an_image:.1f} µs for each image; its {step.exchanges} "
    f"all-reduces are of {step.num_bytes / 1e6:.2f} MB together.",
    "",
    *markdown_table(columns, rows),
  ]
