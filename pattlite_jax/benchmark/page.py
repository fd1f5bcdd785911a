"""What a person reads of a benchmark: a table, and a picture."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from pattlite_jax.benchmark.work import STAGES

TITLES = {
  "forward": "forward",
  **{stage: f"train step, {trunk}" for stage, trunk in STAGES.items()},
}


def text(result: dict[str, Any]) -> list[str]:
  """Returns all that was measured, as lines of Markdown."""
  lines = [f"{result['machine']}, {result['device']}, {result['dtype']}", ""]
  if "computations" in result:
    lines += [*table(result), ""]
  if "recipe" in result:
    lines += [*recipe_table(result["recipe"]), ""]
  if "export" in result:
    lines += [*export_table(result["export"]), ""]
  for entry in result.get("input", []):
    lines.append(
      f"- input, batch {entry['batch_size']}: "
      f"{entry['images_per_second']:,.0f} "
      f"images/s, {entry['headroom']:.0f} times what stage 1 consumes"
    )
  for entry in result.get("input_sets", []):
    lines += ["", *input_set_lines(entry)]
  for command, times in result.get("startup", {}).items():
    lines.append(f"- `{command}`: {times['ms'] / 1e3:.2f} s")
  if "video" in result:
    lines.append(video_line(result["video"]))
  return lines


def table(result: dict[str, Any]) -> list[str]:
  """Returns the lines of a Markdown table of the computations."""
  sides = _sides(result)
  lines = [
    "| | batch | " + " | ".join(f"{side}, ms" for side in sides) + " | ratio |"
    " to ONNX Runtime |",
    "|---|---|" + "---|" * (len(sides) + 2),
  ]
  for what, title in TITLES.items():
    for entry in result["computations"].get(what, []):
      cells = [
        f"{entry[side]['ms']:.1f}" if side in entry else "" for side in sides
      ]
      for name in ("ratio", "onnxruntime_ratio"):
        cells.append(f"**{entry[name]:.2f}**" if name in entry else "")
      lines.append(
        f"| {title} | {entry['batch_size']} | " + " | ".join(cells) + " |"
      )
  return lines


def recipe_table(found: dict[str, Any]) -> list[str]:
  """Returns the lines of a Markdown table of the recipe's training steps."""
  peak = found["peak_flop_per_second"] / 1e9
  lines = [
    "| the best recipe's step | batch | ms | images/s | GFLOP | share of "
    f"{peak:,.0f} GFLOP/s, the largest product's |",
    "|---|---|---|---|---|---|",
  ]
  lines += [
    f"| {step['image_size']} pixels | {step['batch_size']} | "
    f"{step['ms']:.1f} | {step['images_per_second']:,.0f} | "
    f"{step['flop'] / 1e9:.1f} | {step['share_of_peak']:.0%} |"
    for step in found["steps"]
  ]
  return lines


def export_table(entries: list[dict[str, Any]]) -> list[str]:
  """Returns the lines of a Markdown table of exported files."""
  sizes = [time["batch_size"] for time in entries[0]["times"]]
  lines = [
    "| file | bytes | largest difference | "
    + " | ".join(f"batch {size}, ms" for size in sizes)
    + " |",
    "|---|---|---|" + "---|" * len(sizes),
  ]
  for entry in entries:
    bytes_, difference = "", ""
    if "bytes" in entry:
      bytes_ = f"{entry['bytes']:,}"
      difference = f"{entry['largest_difference']:.1g}"
    times = " | ".join(f"{time['ms']:.2f}" for time in entry["times"])
    lines.append(f"| {entry['file']} | {bytes_} | {difference} | {times} |")
  return lines


def input_set_lines(entry: dict[str, Any]) -> list[str]:
  """Returns what was measured of a made set of JPEGs, as lines of Markdown."""
  prepared, fetched = entry["prepared"], entry["random_access"]
  lines = [
    f"{entry['images']:,} JPEGs of {entry['size']} pixels, "
    f"{entry['jpeg_bytes'] / 1e6:,.0f} MB: prepared in "
    f"{prepared['seconds']:,.0f} s ({prepared['images_per_second']:,.0f} "
    f"images/s, {prepared['images_per_core_second']:,.0f} a core), "
    f"{prepared['bytes'] / 1e6:,.0f} MB",
    "",
    "| images | cores | images/s | a core | first batch, s | peak memory, MB |",
    "|---|---|---|---|---|---|",
  ]
  lines += [
    f"| {own['images_are']} | {own['cores']} | "
    f"{own['images_per_second']:,.0f} | {own['images_per_core_second']:,.0f} | "
    f"{own['seconds_to_first_batch']:.1f} | {own['peak_mb']:,.0f} |"
    for own in entry["readers"]
  ]
  ways = ", ".join(f"{way} {speed:,.0f}" for way, speed in fetched.items())
  return [*lines, "", f"Files fetched in any order, images/s of a core: {ways}"]


def video_line(found: dict[str, Any]) -> str:
  """Returns how fast a video was read, in a line of Markdown."""
  speeds = found["frames_per_second"]
  return (
    f"- {found['frames']} frames of {found['width']}x{found['height']} pixels "
    f"with one face: `predict` {speeds['predict']:.0f} a second, a loop over "
    f"its parts {speeds['by hand']:.0f}; time of the former over the latter "
    f"**{found['ratio']:.2f}**"
  )


def picture(result: dict[str, Any]) -> Figure:
  """Draws the time of an image against batch size, a panel for each kind."""
  panels = [what for what in TITLES if result["computations"].get(what)]
  figure, axes = plt.subplots(
    1,
    len(panels),
    figsize=(4.5 * len(panels), 4),
    squeeze=False,
    layout="constrained",
  )
  for axis, what in zip(axes[0], panels, strict=True):
    entries = result["computations"][what]
    for side in _sides(result):
      points = [(e["batch_size"], e[side]) for e in entries if side in e]
      if not points:
        continue
      sizes = [size for size, _ in points]
      low, middle, high = (
        np.array([time[key] / size for size, time in points])
        for key in ("ms_low", "ms", "ms_high")
      )
      axis.errorbar(
        sizes,
        middle,
        (middle - low, high - middle),
        marker="o",
        capsize=3,
        label=side,
      )
    axis.set(
      title=TITLES[what],
      xlabel="batch size",
      ylabel="milliseconds an image",
      xscale="log",
    )
    axis.set_ylim(bottom=0)
    sizes = [entry["batch_size"] for entry in entries]
    axis.set_xticks(sizes, [str(size) for size in sizes])
    axis.minorticks_off()
  axes[0][0].legend()
  figure.suptitle(f"PAtt-Lite, 224 px, {result['dtype']}, {result['machine']}")
  return figure


def _sides(result: dict[str, Any]) -> list[str]:
  found = {}
  for entries in result["computations"].values():
    for entry in entries:
      found |= {k: None for k, v in entry.items() if isinstance(v, dict)}
  return list(found)
