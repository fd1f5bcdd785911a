"""The figures of the programs in words."""

from typing import Any

from pattlite_jax.compile import estimate

_GIB = 1 << 30
_MIB = 1 << 20


def text(result: dict[str, Any]) -> str:
  """Returns what a user reads of the figures that the command writes."""
  chips, images = result["chips"], result["images_a_chip"]
  hosts = "1 host" if result["hosts"] == 1 else f"{result['hosts']} hosts"
  lines = [
    f"{result['topology']}: {chips} chip{'s' * (chips > 1)} on {hosts}; "
    f"{images:,} images a chip, a batch size of {images * chips:,}, "
    f"{result['dtype']}, {result['image_size']} px"
  ]
  for name, program in result["programs"].items():
    lines += ["", *_program(name, program, chips)]
  return "\n".join([*lines, "", estimate.LEFT_OUT])


def _program(name: str, found: dict[str, Any], chips: int) -> list[str]:
  memory = found["memory"]
  speed = found["images_per_second"] or 0.0
  parts = ", ".join(
    f"{part} {memory[part] / _MIB:,.0f}"
    for part in ("arguments", "results", "temporary", "code")
  )
  return [
    f"{name}: compiled in {found['compile_seconds']:,.0f} s",
    f"  memory a chip   {memory['total'] / _MIB:,.0f} MiB of "
    f"{memory['available'] / _GIB:,.2f} GiB ({parts})",
    f"  work a chip     {found['flop'] / 1e9:,.1f} GFLOP, "
    f"{found['bytes'] / 1e9:,.2f} GB read and written",
    f"  estimated time  {found['step_ms']:.2f} ms "
    f"({found['estimated_cycles']:,} cycles): {speed:,.0f} images/s, "
    f"{speed / chips:,.0f} a chip",
    *_exchange(found),
    *_left_out(found),
    "  costliest layers",
    *(
      f"    {100 * own['share']:5.1f} %  {own['layer']}"
      f" ({own['operations']} operation{'s' * (own['operations'] > 1)})"
      for own in found["costliest"]
    ),
  ]


def _exchange(found: dict[str, Any]) -> list[str]:
  kinds = [
    f"{own['count']} {own['kind']}, {own['bytes'] / 1e6:,.2f} MB"
    for own in found["collectives"]
  ]
  return [f"  between chips   {'; '.join(kinds) or 'nothing'}"]


def _left_out(found: dict[str, Any]) -> list[str]:
  return [
    f"  no estimate for {own['count']} {own['kind']}, "
    f"{own['bytes'] / 1e6:,.2f} MB: {own['layer']}"
    for own in found["without_estimate"]
  ]
