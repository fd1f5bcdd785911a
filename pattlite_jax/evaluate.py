"""Scores a trained network on a split, one image at a time.

python -m pattlite_jax.evaluate --checkpoint runs/fer2013 [--split test]
  [--dataset ferplus/majority --data_dir <folder>] [--json F] [--pictures DIR]

Weights of attention "batch" have a second set of figures, which depends on
--order and --batch_size; those of the other modes depend on neither.
--flip_views adds those of two views of each image, itself and its mirror image.
"""

import json
from typing import Any

import numpy as np
from absl import app, flags
from etils import epath

from pattlite_jax.config import ORDERS
from pattlite_jax.data.load import SPLITS
from pattlite_jax.runtime import hosts

_CHECKPOINT = flags.DEFINE_string(
  "checkpoint",
  None,
  "A run's workdir, one step's folder in it, a folder that release wrote, or "
  "the name of a shipped model.",
  required=True,
)
_DATASET = flags.DEFINE_string(
  "dataset", None, "A data set, such as ferplus/majority; default: its own."
)
_DATA_DIR = flags.DEFINE_string(
  "data_dir", None, "Where the data set's files lie; default: as in training."
)
_SPLIT = flags.DEFINE_enum("split", "test", SPLITS, "What is scored.")
_ORDER = flags.DEFINE_enum(
  "order", "official", ORDERS, "The order in which images come into batches."
)
_BATCH_SIZE = flags.DEFINE_integer(
  "batch_size", 32, "Images a batch, over all devices.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Of --order=shuffled.", lower_bound=0)
_FLIP_VIEWS = flags.DEFINE_bool(
  "flip_views",
  False,
  "Also score the mean logits of each image and its mirror image.",
)
_CHALLENGE_LISTS = flags.DEFINE_string(
  "challenge_lists", None, "A folder of RAN's lists, to score those subsets."
)
_PREDICTIONS = flags.DEFINE_string(
  "predictions",
  None,
  "An .npz to write: ids, labels and class_names; the logits of each image "
  "alone, and logits_across_batch of a network that mixes its batch.",
)
_JSON = flags.DEFINE_string("json", None, "A file to write the figures to.")
_PICTURES = flags.DEFINE_string("pictures", None, "A folder for pictures.")


def main(argv: list[str]) -> None:
  """Prints the figures, and writes what the flags ask for."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  # Imported here so that --help needs none of it.
  from pattlite_jax.runtime import startup

  startup.configure()
  with hosts.joined():
    _evaluate()


def _evaluate() -> None:
  from pattlite_jax.runtime import errors, parallel, provenance

  with errors.in_one_line(data_flags=True):
    from pattlite_jax import trained
    from pattlite_jax.scoring import pictures, protocols, text

    inputs = protocols.load_inputs(
      trained.load(_CHECKPOINT.value),
      dataset=_DATASET.value,
      data_dir=_DATA_DIR.value,
      split=_SPLIT.value,
      challenge_lists=_CHALLENGE_LISTS.value,
    )
    batches = protocols.Batches(_ORDER.value, _BATCH_SIZE.value, _SEED.value)
    result, predictions = protocols.evaluate(
      inputs, batches, flip_views=_FLIP_VIEWS.value
    )
  if not parallel.is_writer():
    return
  result = {"checkpoint": _CHECKPOINT.value, **result}
  print(text.report(result))
  if _JSON.value:
    text = json.dumps(result | provenance.environment(), indent=1)
    _parent(_JSON.value).write_text(text + "\n")
  if _PREDICTIONS.value:
    arrays: dict[str, Any] = {
      **predictions,
      "class_names": result["class_names"],
    }
    with _parent(_PREDICTIONS.value).open("wb") as file:
      np.savez(file, **arrays)
  if _PICTURES.value:
    pictures.draw_evaluation(epath.Path(_PICTURES.value).expanduser(), result)


def _parent(path: str) -> epath.Path:
  """Returns a path whose folder is there."""
  file = epath.Path(path).expanduser()
  file.parent.mkdir(parents=True, exist_ok=True)
  return file


if __name__ == "__main__":
  app.run(main)
