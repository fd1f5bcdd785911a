"""Figures in words and tables: for a terminal, and for Markdown pages."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def percent(share: float | None) -> str:
  """Returns a share in [0, 1] in percent; "-" for one that is undefined."""
  return "-" if share is None else f"{100 * share:.2f} %"


def class_rows(
  per_class: Sequence[dict[str, Any]], class_names: Sequence[str]
) -> list[list[str]]:
  """Returns name, precision, recall, F1 and images of each class."""
  return [
    [
      name,
      *(percent(row[key]) for key in ("precision", "recall", "f1")),
      f"{row['support']:,}",
    ]
    for name, row in zip(class_names, per_class, strict=True)
  ]


CLASS_COLUMNS = ("class", "precision", "recall", "F1", "images")


def markdown_table(
  columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> list[str]:
  """Returns the lines of a table."""
  lines = [columns, ["---"] * len(columns), *rows]
  return [f"| {' | '.join(map(str, line))} |" for line in lines]


def is_plain(result: Mapping[str, Any]) -> bool:
  """Whether a PAtt-Lite has neither its patches nor its attention.

  It is none then, but a trunk whose features are averaged and classified.
  """
  # Results older than the field have patches, or do not say.
  without = result.get("patch_extraction") is False
  return without and result["attention"] == "none"


def network(result: Mapping[str, Any]) -> str:
  """Returns the method of a result's network, with its mode if any."""
  if is_plain(result):
    return "a plain mean, without patches and attention"
  for kind in ("attention", "sharing"):
    if result.get(kind):  # Results older than ARM have no sharing.
      return f"{result['method']} with {kind} {result[kind]}"
  return result["method"]


def report(result: dict[str, Any]) -> str:
  """Returns the figures in words and tables; the protocol comes first.

  `result` is what `protocols.evaluate` returns, with the checkpoint's name.
  """
  rule = f" ({result['rule']})" if result["rule"] else ""
  ((split, scores),) = result["splits"].items()
  alone = scores["per_sample"]
  lines = [
    "Protocol: one image at a time (per sample).",
    f"Data: {result['dataset']}{rule}, {split} split, "
    f"{alone['num_examples']:,} images.",
    f"Weights: {result['checkpoint']}, {network(result)}, "
    f"trained on {result['trained_on'] or 'an unknown data set'}.",
  ]
  lines += _classes(result)
  lines += ["", f"{'accuracy':<20}{_accuracy(alone)}"]
  lines += [
    f"{name:<20}{show(alone[key]):>8}" for key, (name, show) in _FIGURES.items()
  ]
  lines += ["", *_class_table(alone["per_class"], result["class_names"])]
  if "across_batch" in scores:
    lines += ["", *_across_batch(alone, scores["across_batch"])]
  if "flip_views" in scores:
    lines += ["", *_flip_views(alone, scores["flip_views"])]
  if "against" in scores:
    lines += ["", *against(alone, scores["against"])]
  for subset, found in scores.get("challenges", {}).items():
    lines += ["", *_challenge(subset, found)]
  return "\n".join(lines)


def _classes(result: dict[str, Any]) -> list[str]:
  """Says how the classes of the data set became those of the network."""
  lines = []
  translated = result.get("classes_translated")  # Younger than some results.
  absent = result.get("classes_absent")
  if translated:
    pairs = ", ".join(f"{own} = {name}" for own, name in translated.items())
    lines.append(f"Classes: {pairs}.")
  elif result["classes_reordered"] and not absent:
    lines.append(
      "Classes: the data set has another order; its labels were mapped by name."
    )
  if absent:
    lines.append(
      f"Classes: the data set has no {', '.join(absent)}, which the network "
      "knows."
    )
  return lines


_FIGURES = {
  "macro_f1": ("macro F1", percent),
  "mean_class_accuracy": ("mean class accuracy", percent),
  "loss": ("loss", "{:.4f}".format),
  "ece": ("calibration error", percent),
}


def _accuracy(scores: dict[str, Any]) -> str:
  low, high = (100 * edge for edge in scores["accuracy_interval"])
  return (
    f"{percent(scores['accuracy']):>8}  (95 % interval {low:.2f} to {high:.2f})"
  )


def _class_table(per_class: list[dict], class_names: list[str]) -> list[str]:
  return [
    f"{name:<12}{precision:>10}{recall:>10}{f1:>10}{images:>8}"
    for name, precision, recall, f1, images in (
      CLASS_COLUMNS,
      *class_rows(per_class, class_names),
    )
  ]


def _across_batch(alone: dict[str, Any], across: dict[str, Any]) -> list[str]:
  """Shows each figure that depends on the batch beside the other."""
  seed = (
    f" (seed {across['order_seed']})" if across["order"] == "shuffled" else ""
  )
  return [
    f"Across batches: {across['order']} order{seed}, batches of "
    f"{across['batch_size']}.",
    "The network mixes the images of a batch, so what follows depends on which",
    "images share one; it is no figure of the network alone.",
    *_beside("across batches", across, alone),
    f"{across['changed_predictions']:,} of {across['num_examples']:,} "
    "predictions differ from those of the image alone.",
  ]


def _flip_views(alone: dict[str, Any], views: dict[str, Any]) -> list[str]:
  """Shows each figure of two views beside that of one."""
  return [
    "Flip views: the mean logits of each image and its mirror image, which is",
    "twice the work; no figure of a single view compares with it.",
    *_beside("flip views", views, alone),
  ]


def against(alone: dict[str, Any], other: dict[str, Any]) -> list[str]:
  """Shows another network's accuracy, and whether chance explains it."""
  here, there = other["right_here_alone"], other["right_there_alone"]
  gain = 100 * (alone["accuracy"] - other["accuracy"])
  return [
    f"Against: {other['checkpoint']}",
    f"  accuracy {percent(other['accuracy'])} there, {gain:+.2f} points here",
    f"  {here:,} images right here alone, {there:,} there alone",
    f"  so far apart by chance (McNemar): p = {other['p_value']:.2g}",
  ]


def _beside(
  name: str, scores: dict[str, Any], alone: dict[str, Any]
) -> list[str]:
  rows = {"accuracy": ("correct", percent), **_FIGURES}
  return [
    f"{'':<20}{name:>16}{'per sample':>16}",
    *(
      f"{row:<20}{show(scores[key]):>16}{show(alone[key]):>16}"
      for key, (row, show) in rows.items()
    ),
  ]


def _challenge(subset: str, found: dict[str, Any]) -> list[str]:
  """Shows a challenge subset, by the list's and the data set's own labels."""
  lines = [f"Challenge subset {subset}: {found['num_examples']:,} images"]
  for key, whose in (("list_labels", "list"), ("data_set_labels", "data set")):
    scores = found[key]
    name = f"  by the {whose}'s labels"
    lines.append(f"{name:<29}accuracy {_accuracy(scores['per_sample'])}")
    if "across_batch" in scores:
      share = percent(scores["across_batch"]["accuracy"])
      lines.append(f"{'':<12}across batches, depends on them {share:>11}")
  lines.append(
    f"  both labels agree for {100 * found['label_agreement']:.1f} %"
  )
  published = found["published_num_lines"]
  words = (
    "as published"
    if found["num_lines"] == published
    else f"but {published:,} were published"
  )
  lines.append(f"  {found['num_lines']:,} lines, {words}")
  for key, words in (
    ("duplicates", "listed again (counted once)"),
    ("dropped_by_rule", "without a label by the FER+ rule (left out)"),
    ("unknown", "not among the test images (left out)"),
  ):
    if found[key]:
      more = ", ..." if len(found[key]) > 5 else ""
      ids = ", ".join(found[key][:5]) + more
      lines.append(f"  {len(found[key]):,} {words}: {ids}")
  return lines
