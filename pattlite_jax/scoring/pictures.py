"""What a person looks at after a run: curves, confusions, sample faces."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from etils import epath
from jaxtyping import Float
from matplotlib.figure import Figure

from pattlite_jax.data import examples as examples_lib


def draw_run(
  folder: epath.Path,
  history: Sequence[dict[str, Any]],
  splits: dict[str, examples_lib.Examples],
  logits: dict[str, Float[np.ndarray, "N K"]],
  scores: dict[str, dict[str, Any]],
) -> None:
  """Writes curves.png, and confusion_*.png and faces_*.png of a held-out split.

  The split is the test split where there is one, else the validation split.
  """
  folder.mkdir(parents=True, exist_ok=True)
  if history:
    save(curves(history), folder / "curves.png")
  split = "test" if "test" in splits else "validation"
  if split in splits:
    matrix = np.asarray(scores[split]["per_sample"]["confusion_matrix"])
    title = f"{split} split, one image at a time"
    names = splits[split].class_names
    save(confusion(matrix, names, title), folder / f"confusion_{split}.png")
    faces = sample_faces(splits[split], logits[split])
    save(faces, folder / f"faces_{split}.png")


def draw_evaluation(folder: epath.Path, result: dict[str, Any]) -> None:
  """Writes confusion_*.png and reliability_*.png of each protocol.

  `result` is what `protocols.evaluate` returns.
  """
  folder.mkdir(parents=True, exist_ok=True)
  rule = f" ({result['rule']})" if result["rule"] else ""
  ((split, figures),) = result["splits"].items()
  scored = f"{result['dataset']}{rule}, {split} split"
  titles = {"per_sample": f"{scored}\none image at a time"}
  if "across_batch" in figures:
    across = figures["across_batch"]
    titles["across_batch"] = (
      f"{scored}\nacross batches of {across['batch_size']}, "
      f"{across['order']} order: depends on the batch"
    )
  for protocol, title in titles.items():
    scores = figures[protocol]
    stem = split
    if protocol != "per_sample":
      stem += f"_{protocol}"
    matrix = np.asarray(scores["confusion_matrix"])
    names = result["class_names"]
    save(confusion(matrix, names, title), folder / f"confusion_{stem}.png")
    bins, ece = scores["calibration"], scores["ece"]
    save(reliability(bins, ece, title), folder / f"reliability_{stem}.png")


def save(figure: Figure, path: epath.Path) -> None:
  """Writes a PNG and closes the figure."""
  with path.open("wb") as file:
    figure.savefig(file, format="png", dpi=120)
  plt.close(figure)


def curves(history: Sequence[dict[str, Any]]) -> Figure:
  """Draws loss and accuracy of each epoch; a line marks the second stage."""
  figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
  epochs = np.arange(1, len(history) + 1)
  for ax, quantity in zip(axes, ("loss", "accuracy"), strict=True):
    for name, label in (("train", "training"), ("val", "validation")):
      if f"{name}_{quantity}" not in history[0]:
        continue  # A run without validation images.
      values = [record[f"{name}_{quantity}"] for record in history]
      ax.plot(epochs, values, marker=".", label=label)
    stage1 = sum(record["stage"] == "stage1" for record in history)
    if 0 < stage1 < len(history):
      ax.axvline(stage1 + 0.5, color="grey", linestyle=":", label="stage 2")
    ax.set(xlabel="epoch", ylabel=quantity)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend()
  return figure


def confusion(
  matrix: np.ndarray, class_names: Sequence[str], title: str
) -> Figure:
  """Draws counts[label][prediction] over each row's share in percent."""
  totals = matrix.sum(axis=1)
  shares = matrix / np.maximum(totals, 1)[:, None]
  side = 2.4 + 0.75 * len(class_names)
  figure, ax = plt.subplots(figsize=(side + 0.8, side), layout="constrained")
  image = ax.imshow(shares, vmin=0, vmax=1, cmap="Blues")
  rows = [f"{n}\n({t:,})" for n, t in zip(class_names, totals, strict=True)]
  ax.set_xticks(range(len(class_names)), class_names, rotation=45, ha="right")
  ax.set_yticks(range(len(class_names)), rows)
  ax.set(xlabel="predicted", ylabel="labelled (number of images)", title=title)
  for row, column in np.ndindex(matrix.shape):
    if not matrix[row, column]:  # Left empty, so that the others stand out.
      continue
    ink = "white" if shares[row, column] > 0.5 else "black"
    text = {"ha": "center", "color": ink}
    ax.text(column, row, f"{matrix[row, column]:,}", va="bottom", **text)
    share = f"{100 * shares[row, column]:.1f} %"
    ax.text(column, row + 0.06, share, va="top", fontsize=7.5, **text)
  figure.colorbar(image, label="share of the labelled class", shrink=0.8)
  return figure


def leak(scores: dict[str, dict[str, float]]) -> Figure:
  """Draws {network: {protocol: accuracy in percent}} as grouped bars."""
  figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
  protocols = list(next(iter(scores.values())))
  width = 0.8 / len(scores)
  for index, (network, own) in enumerate(scores.items()):
    places = np.arange(len(protocols)) + (index + 0.5) * width - 0.4
    bars = ax.bar(places, [own[p] for p in protocols], width, label=network)
    ax.bar_label(bars, fmt="%.1f", fontsize=7)
  ax.set_xticks(range(len(protocols)), protocols)
  ax.set(
    xlabel="order of the images, images in a batch",
    ylabel="right predictions (%)",
    title="The same weights under different evaluation protocols",
    ylim=(0, 100),
  )
  ax.legend(ncols=len(scores))
  return figure


def methods(scores: dict[str, tuple[float, float]]) -> Figure:
  """Draws {method: (accuracy, error bar)}, in percent, the best at the top."""
  ordered = sorted(scores.items(), key=lambda item: item[1][0])
  figure, ax = plt.subplots(
    figsize=(8, 1 + 0.4 * len(ordered)), layout="constrained"
  )
  values = [value for _, (value, _) in ordered]
  bars = [bar for _, (_, bar) in ordered]
  ax.errorbar(values, range(len(ordered)), xerr=bars, fmt="o", capsize=4)
  for place, (value, bar) in enumerate(zip(values, bars, strict=True)):
    ax.annotate(
      f"{value:.1f}",
      (value + bar, place),
      xytext=(6, -3),
      textcoords="offset points",
      fontsize=8,
    )
  ax.set_yticks(range(len(ordered)), [name for name, _ in ordered])
  ax.margins(x=0.12, y=0.08)
  ax.grid(axis="x", alpha=0.3)
  ax.set(
    xlabel="right predictions (%), one image at a time",
    title="Methods on one trunk with one recipe: FER2013, PublicTest",
  )
  return figure


def reliability(
  bins: Sequence[dict[str, Any]], ece: float, title: str
) -> Figure:
  """Draws `metrics.calibration`: accuracy by confidence, and where images are.

  Below the diagonal the network is surer of itself than it should be.
  """
  figure, (ax, below) = plt.subplots(
    2,
    1,
    figsize=(5.4, 6.2),
    height_ratios=(3, 1),
    sharex=True,
    layout="constrained",
  )
  width = 1 / len(bins)
  centres = (np.arange(len(bins)) + 0.5) * width
  counts = np.array([row["count"] for row in bins])
  filled = [k for k, row in enumerate(bins) if row["count"]]
  accuracy = np.array([bins[k]["accuracy"] for k in filled])
  confidence = np.array([bins[k]["confidence"] for k in filled])
  ax.plot([0, 1], [0, 1], color="grey", linestyle="--", label="calibrated")
  bars = {"width": width, "edgecolor": "white"}
  ax.bar(
    centres[filled],
    accuracy,
    color="tab:blue",
    label="predicted correctly",
    **bars,
  )
  ax.vlines(
    confidence,
    accuracy,
    confidence,
    color="tab:red",
    linewidth=2,
    label="gap to the mean confidence",
  )
  ax.plot(confidence, confidence, ".", color="tab:red")
  ax.set(ylabel="share of the images", xlim=(0, 1), ylim=(0, 1.02))
  ax.set_title(
    f"{title}\nexpected calibration error {100 * ece:.1f} %", size=10
  )
  figure.legend(loc="outside lower center", ncols=3, fontsize=9)
  below.bar(centres, counts, color="tab:grey", **bars)
  for centre, count in zip(centres[filled], counts[filled], strict=True):
    below.text(centre, count, f"{count:,}", ha="center", va="bottom", size=7)
  below.set(xlabel="confidence (largest probability)", ylabel="images")
  below.set(yscale="log", ylim=(0.5, 6 * counts.max()))
  return figure


def sample_faces(
  examples: examples_lib.Examples,
  logits: Float[np.ndarray, "N K"],
  columns: int = 8,
) -> Figure:
  """Draws the first faces of each class and their predictions, red if wrong."""
  num_classes = len(examples.class_names)
  figure, axes = plt.subplots(
    num_classes,
    columns,
    figsize=(1.15 * columns, 1.4 * num_classes),
    layout="constrained",
  )
  predictions = logits.argmax(-1)
  for label, row in enumerate(axes):
    of_class = np.flatnonzero(examples.labels == label)[:columns]
    row[0].set_ylabel(examples.class_names[label])
    for ax in row:
      ax.set(xticks=[], yticks=[])
      ax.spines[:].set_visible(False)
    for ax, index in zip(row, of_class, strict=False):
      ax.imshow(examples.images[index], cmap="gray", vmin=0, vmax=255)
      ax.set_title(
        examples.class_names[predictions[index]],
        fontsize=8,
        color="black" if predictions[index] == label else "red",
      )
  return figure
