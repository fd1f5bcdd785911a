"""Reads the text of an optimised TPU program, as XLA's compiler prints it.

What runs is the entry computation, one instruction after the other, and the
bodies of its loops. A fusion is one instruction, with the compiler's estimate
of its cycles; what it is made of does not count again.
"""

import dataclasses
import math
import re
from collections.abc import Iterator

_BYTES = {
  "pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2,
  "s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8, "f64": 8, "c64": 8,
}  # fmt: skip
COLLECTIVES = (
  "all-reduce", "all-gather", "reduce-scatter", "collective-permute",
  "all-to-all",
)  # fmt: skip
# What costs by its places, not by its bytes.
_IRREGULAR = ("gather", "scatter", "sort", "custom-call")
# Custom calls that only name a place in memory.
_NO_WORK = ('"ConcatBitcast"', '"AllocateBuffer"')

_COMPUTATION = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_INSTRUCTION = re.compile(
  r"  (?:ROOT )?%?([\w.\-]+) = (.*?) ([a-z][a-z0-9\-]*)\((.*)$"
)
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_BOUND = re.compile(r"s32\[\](?:\{.*\})? constant\((\d+)\)")
_SHAPE = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
_CALLED = re.compile(
  r"\b(calls|body|condition|to_apply|branch_computations|true_computation"
  r"|false_computation)=(?:\{([^}]*)\}|(%?[\w.\-]+))"
)


@dataclasses.dataclass(frozen=True)
class Operation:
  """An instruction that runs.

  Attributes:
    kind: XLA's word, such as fusion; of two halves, such as all-reduce-start
      and -done, the first stands for both, without its ending.
    op_name: JAX's path to what it comes from.
    cycles: the compiler's estimate of one run; None where there is none.
    num_bytes: of its results.
    times: how often it runs a step; 1 in a loop of unknown length.
    irregular: the gather, scatter, sort or custom call in it, if any.
  """

  kind: str
  op_name: str
  cycles: int | None
  num_bytes: int
  times: int = 1
  irregular: str = ""


@dataclasses.dataclass(frozen=True)
class _Instruction:
  text: str
  result: str
  kind: str
  rest: str

  def called(self, *words: str) -> list[str]:
    return [
      name.strip().lstrip("%")
      for word, several, one in _CALLED.findall(self.rest)
      if word in words
      for name in (several or one).split(",")
    ]


def operations(text: str) -> list[Operation]:
  """Returns what a program runs, in its order.

  Raises ValueError if the text has no entry computation.
  """
  computations, entry = _computations(text)
  if entry is None:
    raise ValueError("The text of the program has no entry computation.")
  return list(_run(computations, entry, 1))


def _computations(
  text: str,
) -> tuple[dict[str, list[_Instruction]], str | None]:
  found: dict[str, list[_Instruction]] = {}
  entry, current = None, None
  for line in text.splitlines():
    header = _COMPUTATION.match(line)
    if header:
      current = found.setdefault(header[2], [])
      entry = header[2] if header[1] else entry
      continue
    instruction = _INSTRUCTION.match(line)
    if instruction and current is not None:
      current.append(_Instruction(line, *instruction.groups()[1:]))
  return found, entry


def _run(
  computations: dict[str, list[_Instruction]], name: str, times: int
) -> Iterator[Operation]:
  for instruction in computations[name]:
    if instruction.kind.endswith("-done"):
      continue
    if instruction.kind == "while":
      repeated = times * _trips(computations, instruction)
      for body in instruction.called("body"):
        yield from _run(computations, body, repeated)
    elif instruction.kind == "conditional":
      branches = [
        list(_run(computations, branch, times))
        for branch in instruction.called(
          "branch_computations", "true_computation", "false_computation"
        )
      ]
      yield from max(branches, key=cycles, default=[])
    elif instruction.kind in ("call", "async-start"):
      for called in instruction.called("to_apply", "calls"):
        yield from _run(computations, called, times)
    else:
      yield _operation(computations, instruction, times)


def _trips(
  computations: dict[str, list[_Instruction]], loop: _Instruction
) -> int:
  """Returns how often a loop runs; 1 where its condition does not tell.

  JAX's loops of known length count from 0 up to the one number in it.
  """
  (condition,) = loop.called("condition")
  bounds = [_BOUND.search(inner.text) for inner in computations[condition]]
  found = {int(bound[1]) for bound in bounds if bound}
  return found.pop() if len(found) == 1 else 1


def _operation(
  computations: dict[str, list[_Instruction]],
  instruction: _Instruction,
  times: int,
) -> Operation:
  estimate = _CYCLES.search(instruction.rest)
  op_name = _OP_NAME.search(instruction.rest)
  kind = instruction.kind.removesuffix("-start")
  irregular = kind if kind in _IRREGULAR else ""
  if any(target in instruction.rest for target in _NO_WORK):
    irregular = ""
  if kind == "fusion":
    irregular = _irregular_within(computations, instruction)
  sizes = _sizes(instruction.result)
  if instruction.kind != kind and kind in COLLECTIVES[1:]:
    sizes = [max(sizes)]  # Of what goes in and what comes out.
  return Operation(
    kind,
    op_name[1] if op_name else "",
    int(estimate[1]) if estimate else None,
    sum(sizes),
    times,
    irregular,
  )


def _irregular_within(
  computations: dict[str, list[_Instruction]], fusion: _Instruction
) -> str:
  """Returns the first irregular kind of a fusion, at any depth."""
  for name in fusion.called("calls"):
    for inner in computations.get(name, []):
      if inner.kind in _IRREGULAR and inner.kind != "custom-call":
        return inner.kind
      within = _irregular_within(computations, inner)
      if inner.kind == "fusion" and within:
        return within
  return ""


def _sizes(result: str) -> list[int]:
  """Returns the bytes of each array of a type: "(f32[7]{0:T(128)}, s32[])"."""
  return [
    _BYTES.get(dtype, 0) * math.prod(int(n) for n in dims.split(",") if n)
    for dtype, dims in _SHAPE.findall(result)
  ]


def cycles(found: list[Operation]) -> int:
  """Returns the estimated cycles of all operations together."""
  return sum((op.cycles or 0) * op.times for op in found)


def layer(op_name: str) -> str:
  """Returns the layer of JAX's path, such as "trunk/conv_dw_1, gradient".

  Outside of the network it is the step's own name, such as "augmentation", or
  what computes.
  """
  parts = [_plain(part) for part in op_name.split("/")]
  primitive = parts.pop()
  parts = [part for part in parts if part and "." not in part]
  if not parts:
    return primitive or "unnamed"
  if parts[0][0].islower():
    return parts[0]
  path = "/".join(parts[1:4]) or parts[0]  # After the network's class.
  return f"{path}, gradient" if "transpose(" in op_name else path


def _plain(part: str) -> str:
  """Returns "trunk" of "transpose(jvp(trunk))", "" of JAX's own names."""
  if _OWN.match(part):
    return ""
  return part.replace("transpose(", "").replace("jvp(", "").rstrip(")")


_OWN = re.compile(
  r"(.*\()?(jit|vmap|pjit)\(|(shard_map|while|body|cond|closed_call|checkpoint"
  r"|rematted_computation|branch_\d+_fun|custom_[jv].*)$"
)
