"""The card of a released model: its figures, their protocol, and its limits."""

from typing import Any

from pattlite_jax.runtime.origin import Origin
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
# What a reader has to know of the data, by data set.
_DATA = {
  "fer2013": (
    "FER2013 (ICML 2013, Challenges in Representation Learning): 48x48 grey "
    "faces that an image search found for words of emotion. Its labels are "
    "noisy (people agree with about 65 % of them, Goodfellow et al. 2013), its "
    "splits share images, and disgust is rare. It has no licence; the rules of "
    "the contest allow research."
  ),
  "ferplus": (
    "FER+ (Barsoum et al., ICMI 2016): the images of FER2013 with the votes of "
    "ten people each. Contempt, disgust and fear are rare. The votes are under "
    "MIT; the images have no licence, and FER2013's rules allow research."
  ),
  "raf_db": (
    "RAF-DB (Li et al., CVPR 2017): aligned faces from the web with labels of "
    "about 40 people each; for research only, by its authors' agreement."
  ),
  "ck_plus": (
    "CK+ (Lucey et al., CVPRW 2010): posed expressions in a laboratory; for "
    "research only, by its authors' agreement."
  ),
}
_DRAWN = "Drawn faces: the figures say nothing about faces of people."
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
  `classify.photo` finds costs about two points of accuracy (measured on FER+,
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
        f"## Data\n\n{_data(described)}",
        f"## Training\n\n{_training(described)}",
        _LIMITS,
        "The weights are under Apache-2.0, as the ImageNet trunk they started "
        "from; the data's terms are above.",
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


def _data(described: dict[str, Any]) -> str:
  """Says what it and networks before it learned from, and what scored it."""
  result, training = described["evaluation"], described["training"]
  trained_on = _set(result["trained_on"])
  origins = [
    Origin.from_json(origin)
    for part in ("started_from", "taught_by")
    for origin in training.get(part, {}).values()
  ]
  others = sorted({_set(origin.dataset) for origin in origins} - {trained_on})
  about = _DATA.get(trained_on, _DRAWN)
  if not others and result["dataset"] == trained_on:
    return about
  parts = [f"Trained on: {about}"]
  parts += [
    f"Networks it learned from were trained on: {_DATA.get(name, _DRAWN)}"
    for name in others
  ]
  if result["dataset"] != trained_on:
    parts += [f"Scored on: {_DATA.get(result['dataset'], _DRAWN)}"]
  return "\n\n".join(parts)


def _set(name: str) -> str:
  return name.partition("/")[0]


def _training(described: dict[str, Any]) -> str:
  training = described["training"]
  hours = training["hours"]
  where = [training["machine"], training["device"]]
  where += [] if hours is None else [f"{hours:.1f} hours"]
  epochs = " + ".join(map(str, training["epochs"].values()))
  return (
    f"```bash\n{training['command']}\n```\n\n"
    f"Revision {training['git_revision']}; {', '.join(filter(None, where))}; "
    f"{epochs} epochs (stage 1 + 2), seed {training['seed']}. "
    f"{_chosen(training['epoch_chosen_by'])} No face data but the training "
    f"split{_networks(described)}.{_changes(training['config_changes'])}"
  )


def _chosen(monitor: str | None) -> str:
  if monitor == "val_accuracy":
    return (
      "The epoch was chosen by the accuracy on the validation split, which is "
      "therefore slightly optimistic."
    )
  if monitor == "last_epoch":
    return "The weights are those of the last epoch."
  return f"The epoch was chosen by {monitor}."


def _networks(described: dict[str, Any]) -> str:
  """Says what it started from, and who had a share in the targets."""
  training, config = described["training"], described["config"]
  started_from = training.get("started_from")
  taught_by = training.get("taught_by")
  text = ""
  if started_from or taught_by:
    text += " and what the networks named here learned from"
  if started_from:
    text += f"; all weights started from {_named(started_from)}"
  elif config["model"]["trunk_weights"] == "imagenet":
    text += "; the trunk started from ImageNet"
  elif config["model"]["trunk_weights"] == "random":
    text += "; the trunk started from drawn weights"
  else:
    text += "; the trunk started from weights of its own"
  if taught_by:
    share = config["distillation"]["share"]
    view = config["distillation"].get("view", "clean")
    seen = "" if view == "clean" else ", asked on the student's own views"
    text += (
      f"; teachers, whose mean probabilities have a share of {share} in each "
      f"target{seen}: {_named(taught_by)}"
    )
  return text


def _named(networks: dict[str, Any]) -> str:
  return ", ".join(
    f"`{name}` ({Origin.from_json(origin)})"
    for name, origin in networks.items()
  )


def _changes(changes: list[dict[str, Any]]) -> str:
  """Says what config.resume=force has let through, if anything."""
  if not changes:
    return ""
  lines = (
    f"\n- step {c['step']}: `{c['field']}` {c['old']} -> {c['new']}"
    for c in changes
  )
  return f"\n\nThe config changed on the way:{''.join(lines)}"
