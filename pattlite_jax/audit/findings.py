"""The findings of an audit, each in a sentence."""

from typing import Any


def summary(report: dict[str, Any]) -> str:
  """Returns the findings in a few lines."""
  lines = []
  for title, name, say in (
    ("batch dependence", "batch_dependence", batch_dependence),
    ("duplicates", "duplicates", duplicates),
    ("counts", "counts", counts),
    ("choice of epoch", "selection", selection),
    ("challenge lists", "challenge_lists", challenge_lists),
  ):
    part = report[name]
    skipped = part.get("skipped")
    finding = f"skipped: {skipped}" if skipped else say(part)
    lines.append(f"{title:<17} {finding}")
  return "\n".join(lines)


def batch_dependence(part: dict[str, Any]) -> str:
  """Says whether predictions depend on their batch, and the worst change."""
  worst = max(part["conditions"], key=lambda c: c["largest_change"])
  return (
    f"{'pass' if part['passed'] else 'FAIL'}: {part['verdict']}; largest "
    f"change {worst['largest_change']:.2g} ({worst['name']}, batches of "
    f"{worst['batch_size']}; logits' scale {part['logit_scale']:.3g})"
  )


def duplicates(part: dict[str, Any]) -> str:
  """Says how many pairs there are, and how many images cross splits."""
  within, across = 0, []
  for overlap in part["overlaps"]:
    a, b = overlap["splits"]
    if a == b:
      within += overlap["any"]["pairs"]
    else:
      images = overlap["any"]["images"][b]
      across.append(f"{images:,} {b} images are in {a}")
  return "; ".join([f"{within:,} pairs within splits", *across])


def counts(part: dict[str, Any]) -> str:
  """Says whether the counts are the published ones."""
  if part["matches"] is None:
    return "no published counts to compare with"
  if part["matches"]:
    return "as published"
  return f"{len(part['differences'])} counts differ from the published"


def selection(part: dict[str, Any]) -> str:
  """Says which split chose the weights."""
  if not part["stages"]:
    return "the checkpoint has no record of training"
  last = part["stages"][-1]
  chosen_by = part["chosen_by"]
  split = "no split" if chosen_by == "no" else f"the {chosen_by} split"
  return (
    f"{split} chose the weights "
    f"({last['monitor']}, {last['stage']}, epoch {last['chosen_epoch']} of "
    f"{last['epochs']}); the test split took no part"
  )


def challenge_lists(part: dict[str, Any]) -> str:
  """Says what is wrong with the lists, if anything."""
  problems = [f"{file} is missing" for file in part["missing_files"]]
  for subset, entry in part["lists"].items():
    if entry["num_lines"] != entry["published_num_lines"]:
      problems.append(
        f"{subset} has {entry['num_lines']:,} lines, "
        f"{entry['published_num_lines']:,} expected"
      )
    if entry["unknown"]:
      problems.append(f"{subset} names {len(entry['unknown'])} unknown faces")
  return "; ".join(problems) or f"{len(part['lists'])} lists as published"
