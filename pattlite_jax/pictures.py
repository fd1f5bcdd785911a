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
    matrix = np.asarray(scores[split]["confusion_matrix"])
    title = f"{split} split, one image at a time"
    names = splits[split].class_names
    save(confusion(matrix, names, title), folder / f"confusion_{split}.png")
    faces = sample_faces(splits[split], logits[split])
    save(faces, folder / f"faces_{split}.png")


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
  """Draws counts[label][prediction] with each row's share as colour."""
  shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
  figure, ax = plt.subplots(figsize=(6.4, 5.6), layout="constrained")
  image = ax.imshow(shares, vmin=0, vmax=1, cmap="Blues")
  ticks = range(len(class_names))
  ax.set_xticks(ticks, class_names, rotation=45, ha="right")
  ax.set_yticks(ticks, class_names)
  ax.set(xlabel="predicted", ylabel="labelled", title=title)
  for row, column in np.ndindex(matrix.shape):
    ax.text(
      column,
      row,
      f"{matrix[row, column]}",
      ha="center",
      va="center",
      color="white" if shares[row, column] > 0.5 else "black",
    )
  figure.colorbar(image, label="share of the labelled class")
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
