"""The card of a released model: its figures, their protocol, and its limits."""

from typing import Any

from pattlite_jax.release import card_origins
from pattlite_jax.scoring.text import (
  CLASS_COLUMNS,
  class_rows,
  is_plain,
  markdown_table,
  network,
  percent,
)

_NAMES = {
  "baseline": "Baseline",
  "pattlite": "PAtt-Lite",
  "arm": "Amending Representation Module",
  "dan": "Distract Your Attention Network",
  "eac": "Erasing Attention Consistency",
  "apvit": "APViT",
  "cbam_rul": "CBAM, balanced weights and relative uncertainty",
  "ldam_focal": "LDAM with the focal factor",
  "label_correction": "Label correction",
}
_PLAIN = "Plain mean"  # No PAtt-Lite, whatever the config's method is called.
_LIMITS = """\
## Intended use and limits

Research on expression recognition, teaching, and a small baseline to compare
with. An expression is not an emotion: the classes are what annotators read from
a still picture, and people often show what they do not feel.

- Prohibited in the EU: inferring emotions of people at work or in education
  (AI Act, Regulation (EU) 2024/1689, Article 5(1)(f)). Other emotion
  recognition is a high-risk use there (Annex III) with duties of its own.
- Not for decisions about people, nor for health, lie detection, or hiring.
- The figures above are of faces as the data set cuts them. A face that
  `classify.photo` finds costs one to two points of accuracy (measured on FER+,
  docs/use.md). A crop that is not square is filled with its mean colour, which
  costs less than stretching it (docs/results.md). What is passed as a face is
  not rejected: a wall gets a class.
  Expect less on other cameras, ages, poses, occlusion, and video.

## Known biases

Nothing in the data says who is shown, so no figures by age, sex or skin colour
can be given; faces found on the web do not represent people at large. What
annotators expect of whom is in the labels. The rarer a class, the less its
figures above say."""
_USE = """\
```python
import pattlite_jax

classify = pattlite_jax.load("{name}")
probabilities = classify(face)  # uint8 [H, W] or [H, W, 3], of any size
faces = classify.photo("photo.jpg")  # finds them; needs onnxruntime
```"""


def text(name: str, described: dict[str, Any]) -> str:
  """Returns the card in Markdown, from what the model's config.json holds."""
  result = described["evaluation"]
  ((split, scores),) = result["splits"].items()
  alone, names = scores["per_sample"], result["class_names"]
  return (
    "\n\n".join(
      [
        f"# {_name(result)}, {_title(result)}",
        _summary(described),
        _USE.format(name=name),
        f"## Figures\n\n{_figures(described, split, scores)}",
        _classes(alone, names),
        _confusion(alone, names),
        f"![Confusion](confusion_{split}.png)\n"
        f"![Calibration](reliability_{split}.png)",
        f"## Data\n\n{card_origins.of_data(described)}",
        f"## Training\n\n{card_origins.of_training(described)}",
        _LIMITS,
        card_origins.of_licence(described),
      ]
    )
    + "\n"
  )


def _name(result: dict[str, Any]) -> str:
  return _PLAIN if is_plain(result) else _NAMES[result["method"]]


def _title(result: dict[str, Any]) -> str:
  return result["dataset"] + (f" ({result['rule']})" if result["rule"] else "")


def _summary(described: dict[str, Any]) -> str:
  config = described["config"]
  height, width, channels = described["image_shape"]
  size = config["model"]["image_size"]
  colour = {1: "grey", 3: "RGB"}[channels]
  return (
    f"Classes: {', '.join(described['class_names'])}. Method: "
    f"{network(described['evaluation'])}. A face becomes {height}x{width} "
    f"pixels, {colour}, and is enlarged to {size}x{size} in the network."
  )


def _figures(
  described: dict[str, Any], split: str, scores: dict[str, Any]
) -> str:
  alone, views = scores["per_sample"], scores["flip_views"]
  low, high = (100 * edge for edge in alone["accuracy_interval"])
  accuracy = percent(alone["accuracy"])
  rows = [
    ("accuracy", f"{accuracy} (95 % interval {low:.2f} to {high:.2f})"),
    ("macro F1", percent(alone["macro_f1"])),
    ("mean class accuracy", percent(alone["mean_class_accuracy"])),
    ("calibration error", percent(alone["ece"])),
    (
      "accuracy, mean logits of two views (itself, mirrored)",
      percent(views["accuracy"]),
    ),
    *_without_copies(described.get("without_copies")),
  ]
  return "\n".join(
    [
      f"{split.capitalize()} split, {alone['num_examples']:,} images, "
      "one at a time, one view, one model.",
      "",
      *markdown_table(("figure", ""), rows),
      *_calibration(described),
    ]
  )


def _without_copies(found: dict[str, Any] | None) -> list[tuple[str, str]]:
  """Returns the figures of what the training split holds too, and of the rest.

  Cards that are older than them have none.
  """
  if not found:
    return []
  copies, rest = found["duplicates_only"], found["without_duplicates"]
  return [
    (
      f"accuracy without the {copies['num_images']:,} images that the training "
      "split holds too, alike or nearly",
      percent(rest["accuracy"]),
    )
  ]


def _calibration(described: dict[str, Any]) -> list[str]:
  """Says what the temperature changes; nothing of a card without one."""
  found = described.get("calibration")
  if not found:
    return []
  before, after = percent(found["ece_before"]), percent(found["ece_after"])
  return [
    "",
    f"The logits are divided by {described['temperature']:.4f}, the "
    f"temperature with the least loss on the {found['split']} split. Without "
    f"it the calibration error there is {before}; with the temperature of one "
    f"half of the images, measured on the other, it is {after}.",
  ]


def _classes(alone: dict[str, Any], names: list[str]) -> str:
  rows = class_rows(alone["per_class"], names)
  return "\n".join(markdown_table(CLASS_COLUMNS, rows))


def _confusion(alone: dict[str, Any], names: list[str]) -> str:
  rows = [
    (name, *counts)
    for name, counts in zip(names, alone["confusion_matrix"], strict=True)
  ]
  return "\n".join(markdown_table(("label, prediction:", *names), rows))
