"""What the compiler says of a program: memory, work, time by layer, exchange.

Nothing here is measured. See `LEFT_OUT`.
"""

import collections
from typing import Any

from pattlite_jax.compile import hlo, programs, slices

LEFT_OUT = (
  "These are the TPU compiler's own estimates; nothing was measured. The step "
  "time is the sum of the cycles that it expects of each fused operation, at "
  "the chip's clock. It leaves out operations for which the compiler has no "
  "figure (gathers, sorts, custom calls), the exchange between chips, waiting "
  "for memory to be copied, and all that the host does: reading images, "
  "starting steps, logs and checkpoints."
)
_COSTLIEST = 10


def figures(
  program: programs.Program, chip: slices.Chip, images: int, chips: int
) -> dict[str, Any]:
  """Returns the figures of a program on `images` images a chip, for JSON.

  All are of one chip and one step, but `images_per_second`, of all chips.
  """
  compiled = program.compiled
  found = hlo.operations(compiled.as_text() or "")
  work: Any = compiled.cost_analysis()
  seconds = hlo.cycles(found) / chip.clock
  return {
    "images_a_chip": images,
    "compile_seconds": round(program.seconds, 1),
    "memory": memory(compiled, chip),
    "flop": int(work.get("flops", 0)),
    "bytes": int(work.get("bytes accessed", 0)),
    "estimated_cycles": hlo.cycles(found),
    "step_ms": 1e3 * seconds,
    "images_per_second": images * chips / seconds if seconds else None,
    "costliest": costliest(found),
    "collectives": collectives(found),
    "without_estimate": without_estimate(found),
  }


def memory(compiled: Any, chip: slices.Chip) -> dict[str, int]:
  """Returns bytes; arguments that the program overwrites count once."""
  stats = compiled.memory_analysis()
  parts = {
    "arguments": stats.argument_size_in_bytes,
    "results": stats.output_size_in_bytes - stats.alias_size_in_bytes,
    "temporary": stats.temp_size_in_bytes,
    "code": stats.generated_code_size_in_bytes,
  }
  return {**parts, "total": sum(parts.values()), "available": chip.memory}


def costliest(found: list[hlo.Operation]) -> list[dict[str, Any]]:
  """Returns the layers with most estimated cycles, the costliest first."""
  sums: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
  for op in found:
    if op.cycles:
      entry = sums[hlo.layer(op.op_name)]
      entry[0] += op.cycles * op.times
      entry[1] += 1
  total = hlo.cycles(found)
  order = sorted(sums.items(), key=lambda item: -item[1][0])[:_COSTLIEST]
  return [
    {"layer": name, "cycles": own, "share": own / total, "operations": count}
    for name, (own, count) in order
  ]


def collectives(found: list[hlo.Operation]) -> list[dict[str, Any]]:
  """Returns how often each kind of exchange runs, and its bytes in all."""
  sums: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
  for op in found:
    if op.kind in hlo.COLLECTIVES:
      sums[op.kind][0] += op.times
      sums[op.kind][1] += op.num_bytes * op.times
  return [
    {"kind": kind, "count": count, "bytes": total}
    for kind, (count, total) in sorted(sums.items())
  ]


def without_estimate(found: list[hlo.Operation]) -> list[dict[str, Any]]:
  """Returns the irregular operations that the step time leaves out."""
  sums: dict[tuple[str, str], list[int]] = collections.defaultdict(
    lambda: [0, 0]
  )
  for op in found:
    if op.irregular and op.cycles is None:
      entry = sums[op.irregular, hlo.layer(op.op_name)]
      entry[0] += op.times
      entry[1] += op.num_bytes * op.times
  order = sorted(sums.items(), key=lambda item: -item[1][1])
  return [
    {"kind": kind, "layer": name, "count": count, "bytes": total}
    for (kind, name), (count, total) in order
  ]
