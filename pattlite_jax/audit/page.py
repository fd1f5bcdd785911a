"""The audit as a Markdown page."""

from collections.abc import Iterable, Sequence
from typing import Any

from pattlite_jax.audit import findings
from pattlite_jax.scoring import text
from pattlite_jax.scoring.text import markdown_table, percent

_LISTED_PAIRS = 20  # Across splits; the JSON lists all.


def markdown(report: dict[str, Any]) -> str:
  """Returns the page of what `audit --json` holds."""
  parts = (
    ("Does a prediction depend on its batch?", "batch_dependence", _batches),
    ("Do the splits overlap?", "duplicates", _duplicates),
    ("Are the splits as published?", "counts", _counts),
    ("Which split chose the epoch?", "selection", _selection),
    ("Challenge lists", "challenge_lists", _lists),
  )
  blocks = [f"# Audit of {report['dataset']}", _head(report)]
  for title, name, write in parts:
    part = report[name]
    skipped = part.get("skipped")
    blocks.append(f"## {title}")
    blocks += [f"Skipped: {skipped}."] if skipped else write(part)
  return "\n\n".join(blocks) + "\n"


def _head(report: dict[str, Any]) -> str:
  rows = [("split", report["split"] + report["split_note"])]
  if report["checkpoint"]:
    rows.append(("checkpoint", f"`{report['checkpoint']}`"))
    rows.append(("network", text.network(report)))
  rows.append(("command", f"`{report['command']}`"))
  rows.append(("revision", report["git_revision"] or "unknown"))
  rows.append(("device", report["device"]))
  return _table(("", ""), rows)


def _batches(part: dict[str, Any]) -> list[str]:
  alone = ("alone", 1, "", "", percent(part["alone"]["accuracy"]), "")
  rows = [alone] + [
    (
      c["name"],
      c["batch_size"],
      f"{c['largest_change']:.2g}",
      c["flips"],
      percent(c["accuracy"]),
      "pass" if c["passed"] else "**fail**",
    )
    for c in part["conditions"]
  ]
  tolerance = part["tolerance"]
  return [
    f"**{'Pass' if part['passed'] else 'Fail'}**: {part['verdict']}.",
    f"{part['num_images']} images, drawn with seed {part['seed']}, each class "
    "by its share. Changes and flipped predictions are against the image "
    f"alone. A change of {tolerance['absolute']:.2g} passes: "
    f"{tolerance['relative']:g} of the logits' scale "
    f"({part['logit_scale']:.3g}), as float sums round differently at "
    "different batch sizes.",
    _table(
      ("batches", "size", "largest change", "flips", "accuracy", ""), rows
    ),
  ]


def _duplicates(part: dict[str, Any]) -> list[str]:
  rows = []
  for overlap in part["overlaps"]:
    a, b = overlap["splits"]
    for kind in ("exact", "near", "any"):
      found = overlap[kind]
      images = ", ".join(f"{n:,} {s}" for s, n in found["images"].items())
      rows.append(
        (
          f"within {a}" if a == b else f"{a} and {b}",
          kind,
          f"{found['pairs']:,}",
          images,
          f"{found['label_disagreements']:,}",
        )
      )
  columns = ("where", "kind", "pairs", "images", "pairs with two labels")
  return [
    _sentence(findings.duplicates(part)),
    "Exact: the same pixels. Near: 64-bit dHashes that differ in at most "
    f"{part['max_hamming']} bits and pixels that correlate by at least "
    f"{part['min_correlation']}.",
    _table(columns, rows),
    *_clean(part),
    *_pairs(part),
  ]


def _clean(part: dict[str, Any]) -> list[str]:
  if "clean" not in part:
    return []
  rows = [
    (name.replace("_", " "), f"{p['num_images']:,}", percent(p["accuracy"]))
    for name, p in part["clean"]["parts"].items()
  ]
  return [
    f"Accuracy on {part['clean']['split']}, each image alone, with and without "
    "the images that have a duplicate in train:",
    _table(("part", "images", "accuracy"), rows),
  ]


def _pairs(part: dict[str, Any]) -> list[str]:
  across = [p for p in part["pairs"] if len(set(p["splits"])) == 2]
  if not across:
    return []
  rows = [
    (
      p["kind"],
      " = ".join(p["ids"]),
      ", ".join(p["labels"]),
      p["hamming"],
      f"{p['correlation']:.4f}",
    )
    for p in across[:_LISTED_PAIRS]
  ]
  return [
    f"{len(rows)} of the {len(across):,} pairs across splits (--json has all):",
    _table(("kind", "images", "labels", "bits", "correlation"), rows),
  ]


def _counts(part: dict[str, Any]) -> list[str]:
  rows = []
  for source in ("seen", "published"):
    for split, counts in part[source].items():
      rows.append((split, source, *counts, f"{sum(counts):,}"))
  blocks = [_table(("split", "", *part["class_names"], "all"), rows)]
  if part["differences"]:
    blocks.append(_bullets(part["differences"]))
  return [_sentence(findings.counts(part)), *blocks]


def _selection(part: dict[str, Any]) -> list[str]:
  blocks = [_sentence(findings.selection(part))]
  if not part["stages"]:
    return blocks
  blocks.append(
    _table(
      ("stage", "watched", "split", "chosen epoch", "step", "value"),
      [
        (
          s["stage"],
          s["monitor"],
          s["split"],
          f"{s['chosen_epoch']} of {s['epochs']}",
          s["step"],
          f"{s['value']:.4f}",
        )
        for s in part["stages"]
      ],
    )
  )
  if any(s["split"] == "validation" for s in part["stages"]):
    blocks.append(
      "Accuracy on validation is too high by as much as that choice gained."
    )
  if part["mixes_batch"]:
    blocks.append(
      "The network mixes the images of a batch; so do the watched accuracies."
    )
  return blocks


def _lists(part: dict[str, Any]) -> list[str]:
  columns = ("subset", "file", "lines", "published", "repeated ids")
  columns += ("in test", "without label", "unknown ids", "same label")
  rows = [
    (
      subset,
      f"`{entry['file']}`",
      f"{entry['num_lines']:,}",
      f"{entry['published_num_lines']:,}",
      _few(entry["duplicates"]),
      f"{entry['num_examples']:,}",
      _few(entry["dropped_by_rule"]),
      _few(entry["unknown"]),
      percent(entry["label_agreement"]),
    )
    for subset, entry in part["lists"].items()
  ]
  return [
    _sentence(findings.challenge_lists(part)),
    "Without label: faces that FER+'s rule for labels drops. Same label: the "
    "share of faces for which the list and the data set agree.",
    _table(columns, rows),
  ]


def _few(names: Sequence[str]) -> str:
  """Writes out at most three names."""
  more = f" and {len(names) - 3} more" if len(names) > 3 else ""
  return ", ".join(names[:3]) + more


def _sentence(words: str) -> str:
  return f"{words[0].upper()}{words[1:]}."


def _bullets(lines: Iterable[str]) -> str:
  return "\n".join(f"- {line}" for line in lines)


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
  return "\n".join(markdown_table(columns, rows))
