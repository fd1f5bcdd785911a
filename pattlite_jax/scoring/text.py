"""The figures of an evaluation in words and tables, for a terminal."""

from typing import Any


def report(result: dict[str, Any]) -> str:
  """Returns the figures in words and tables; the protocol comes first."""
  rule = f" ({result['rule']})" if result["rule"] else ""
  alone = result["per_sample"]
  lines = [
    "Protocol: one image at a time (per sample).",
    f"Data: {result['dataset']}{rule}, {result['split']} split, "
    f"{alone['num_examples']:,} images.",
    f"Weights: {result['checkpoint']}, attention {result['attention']}, "
    f"trained on {result['trained_on'] or 'an unknown data set'}.",
  ]
  if result["classes_reordered"]:
    lines.append(
      "Classes: the data set has another order; its labels were mapped by name."
    )
  lines += ["", f"{'accuracy':<20}{_accuracy(alone)}"]
  lines += [
    f"{name:<20}{show(alone[key])}" for key, (name, show) in _FIGURES.items()
  ]
  lines += ["", *_class_table(alone["per_class"], result["class_names"])]
  if "across_batch" in result:
    lines += ["", *_across_batch(alone, result["across_batch"])]
  if "flip_views" in result:
    lines += ["", *_flip_views(alone, result["flip_views"])]
  for subset, scores in result.get("challenges", {}).items():
    lines += ["", *_challenge(subset, scores)]
  return "\n".join(lines)


def _percent(share: float | None) -> str:
  return "     -  " if share is None else f"{100 * share:6.2f} %"


_FIGURES = {
  "macro_f1": ("macro F1", _percent),
  "mean_class_accuracy": ("mean class accuracy", _percent),
  "loss": ("loss", "{:8.4f}".format),
  "ece": ("calibration error", _percent),
}


def _accuracy(scores: dict[str, Any]) -> str:
  low, high = (100 * edge for edge in scores["accuracy_interval"])
  return (
    f"{_percent(scores['accuracy'])}  (95 % interval {low:.2f} to {high:.2f})"
  )


def _class_table(per_class: list[dict], class_names: list[str]) -> list[str]:
  lines = [f"{'class':<12}{'precision':>10}{'recall':>10}{'F1':>10}  images"]
  for name, row in zip(class_names, per_class, strict=True):
    shares = [_percent(row[key]) for key in ("precision", "recall", "f1")]
    cells = "".join(f"{share:>10}" for share in shares)
    lines.append(f"{name:<12}{cells}{row['support']:>8,}")
  return lines


def _across_batch(alone: dict[str, Any], across: dict[str, Any]) -> list[str]:
  """Shows each figure that depends on the batch beside the other."""
  seed = (
    f" (seed {across['order_seed']})" if across["order"] == "shuffled" else ""
  )
  return [
    f"Across batches: {across['order']} order{seed}, batches of "
    f"{across['batch_size']}.",
    "Attention mixes the images of a batch, so what follows depends on which",
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


def _beside(
  name: str, scores: dict[str, Any], alone: dict[str, Any]
) -> list[str]:
  rows = {"accuracy": ("correct", _percent), **_FIGURES}
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
      share = _percent(scores["across_batch"]["accuracy"])
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
