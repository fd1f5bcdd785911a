"""Tables of how fast images are read, and of what would take them."""

from typing import Any

from etils import epath

from pattlite_jax.runtime import json_file
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring.text import markdown_table

FOLDER = "input"  # Of results/.
_DISK = "on disk"
_H200 = 4.8e12  # Bytes a second, as NVIDIA states its memory.


def text(results: epath.Path) -> list[str]:
  """Returns how sets were prepared and read, and how many cores a chip needs.

  Raises:
    UserError: if a file is not what the benchmark writes.
  """
  sets = []
  for path in sorted((results / FOLDER).glob("*.json")):
    sets += _read(path, "input_sets", list)
  if not sets:
    return []
  try:
    tables = [
      _prepared(sets),
      _readers(sets),
      _growth(sets),
      _consumers(results, sets),
    ]
  except (LookupError, TypeError) as error:
    raise UserError(
      f"A file in {results / FOLDER} lacks {error}: run `python -m "
      "pattlite_jax.benchmark --what input_set` again."
    ) from error
  return "\n\n".join("\n".join(table) for table in tables).splitlines()


def _read(path: epath.Path, field: str, kind: type) -> Any:
  found = json_file.read(path).get(field)
  if not isinstance(found, kind):
    raise UserError(f"{path} lacks {field}: it is no benchmark's result.")
  return found


def _prepared(sets: list[dict[str, Any]]) -> list[str]:
  columns = (
    "made JPEGs",
    "pixels",
    "MB",
    "MB prepared",
    "prepared in, s",
    "images/s",
    *(f"one by one, images/s: {way}" for way in sets[0]["random_access"]),
  )
  return markdown_table(
    columns,
    (
      (
        f"{own['images']:,}",
        own["size"],
        f"{own['jpeg_bytes'] / 1e6:,.0f}",
        f"{own['prepared']['bytes'] / 1e6:,.0f}",
        f"{own['prepared']['seconds']:,.0f}",
        f"{own['prepared']['images_per_second']:,.0f}",
        *(f"{speed:,.0f}" for speed in own["random_access"].values()),
      )
      for own in sets
    ),
  )


def _readers(sets: list[dict[str, Any]]) -> list[str]:
  columns = (
    "made JPEGs",
    "pixels",
    "batches from images",
    "cores",
    "images/s",
    "a core",
    "first batch, s",
    "peak memory, MB",
  )
  return markdown_table(
    columns,
    (
      (
        f"{own['images']:,}",
        own["size"],
        reader["images_are"],
        reader["cores"],
        f"{reader['images_per_second']:,.0f}",
        f"{reader['images_per_core_second']:,.0f}",
        f"{reader['seconds_to_first_batch']:.1f}",
        f"{reader['peak_mb']:,.0f}",
      )
      for own in sets
      for reader in own["readers"]
    ),
  )


def _growth(sets: list[dict[str, Any]]) -> list[str]:
  """Returns how much memory more images take that stay on disk."""
  lines = []
  for size in sorted({own["size"] for own in sets}):
    of_size = [own for own in sets if own["size"] == size]
    few = min(of_size, key=lambda own: own["images"])
    many = max(of_size, key=lambda own: own["images"])
    if few is not many:
      more = _most_memory(many) - _most_memory(few)
      lines.append(
        f"From disk, {many['images']:,} JPEGs of {size} pixels take "
        f"{more:,.0f} MB more memory than {few['images']:,}."
      )
  return lines


def _most_memory(own: dict[str, Any]) -> float:
  return max(
    float(reader["peak_mb"])
    for reader in own["readers"]
    if reader["images_are"] == _DISK
  )


def _consumers(results: epath.Path, sets: list[dict[str, Any]]) -> list[str]:
  """Returns what takes images, and the cores that read so many from disk."""
  largest = max(sets, key=lambda own: (own["size"], own["images"]))
  a_core = min(
    reader["images_per_core_second"]
    for reader in largest["readers"]
    if reader["images_are"] == _DISK
  )
  return markdown_table(
    (
      "what takes them",
      "images/s",
      f"cores that read JPEGs of {largest['size']} pixels from disk",
    ),
    (
      (name, f"{speed:,.0f}", f"{speed / a_core:.2g}")
      for name, speed in _speeds(results).items()
    ),
  )


def _speeds(results: epath.Path) -> dict[str, float]:
  """Returns images/s of a training step by what runs it."""
  speeds = {}
  for cpu in sorted(results.glob("bench_cpu_*.json")):
    measured = _read(cpu, "input", list)[-1]
    kind = cpu.stem.removeprefix("bench_cpu_")
    name = f"a CPU with {kind}: 224 pixels, batch {measured['batch_size']}"
    speeds[f"{name}, measured"] = measured["step_images_per_second"]
  tpu = results / "tpu_compile.json"
  if tpu.exists():
    after = _read(tpu, "after", dict)
    step = after["programs"]["train step, stage1"]
    what = f"{after['image_size']} pixels, batch {step['images_a_chip']}"
    speeds[f"a TPU v5e chip: {what}, the compiler's estimate"] = (
      step["images_per_second"] / after["chips"]
    )
    speeds[f"an H200: {what}, at most, by the bytes of that program"] = (
      step["images_a_chip"] * _H200 / step["bytes"]
    )
  return speeds
