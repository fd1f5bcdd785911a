"""Scores a trained network on a split, one image at a time.

python -m pattlite_jax.evaluate --checkpoint runs/fer2013 [--split test]
  [--dataset ferplus/majority --data_dir <folder>] [--packed F.npz]
  [--against CHECKPOINT] [--json F] [--pictures DIR]

Weights of attention or sharing "batch" have a second set of figures, which
depends on --order and --batch_size; those of other modes depend on neither.
--flip_views adds those of two views of each image, itself and its mirror image.
Several checkpoints with commas between them are scored as one network, by their
mean probabilities. --against tests whether another network differs by more than
chance on the same images.
"""

import io
import json
from typing import Any

import numpy as np
from absl import app, flags

from pattlite_jax.config.fields import ORDERS
from pattlite_jax.data import flags as data_flags
from pattlite_jax.data.examples_check import SPLITS
from pattlite_jax.runtime import durable, hosts, output


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  data_flags.define_checkpoint(values, required=True)
  data_flags.define_data(values)
  _define_batches(values)
  flags.DEFINE_enum(
    "split", "test", SPLITS, "The split to score.", flag_values=values
  )
  flags.DEFINE_bool(
    "flip_views",
    False,
    "Also score the mean logits of each image and its mirror image.",
    flag_values=values,
  )
  for name, text in (
    (
      "against",
      "Another checkpoint, to count the images that one of both alone gets "
      "right, with McNemar's test.",
    ),
    ("challenge_lists", "A folder of RAN's lists, to score those subsets."),
    (
      "predictions",
      "An .npz to write: ids, labels and class_names; the logits of each image "
      "alone, and logits_across_batch of a network that mixes its batch.",
    ),
    ("json", "A file to write the figures to."),
    ("pictures", "A folder for pictures."),
  ):
    flags.DEFINE_string(name, None, text, flag_values=values)
  hosts.define_flags(values)


def _define_batches(values: flags.FlagValues) -> None:
  flags.DEFINE_enum(
    "order",
    "official",
    ORDERS,
    "The order in which images come into batches.",
    flag_values=values,
  )
  flags.DEFINE_integer(
    "batch_size",
    32,
    "Images a batch, over all devices.",
    lower_bound=1,
    flag_values=values,
  )
  flags.DEFINE_integer(
    "seed",
    0,
    "Seed of the shuffled order.",
    lower_bound=0,
    flag_values=values,
  )


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Prints the figures, and writes what the flags ask for."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  # Imported here so that --help needs none of it.
  from pattlite_jax.runtime import errors, startup

  startup.configure()
  with errors.in_one_line(), hosts.joined(given):
    _evaluate(given)


def _evaluate(given: flags.FlagValues) -> None:
  from pattlite_jax.runtime import errors, parallel, provenance

  with errors.in_one_line(data_flags.OF_COMMANDS):
    from pattlite_jax import ensemble
    from pattlite_jax.scoring import paired, pictures, protocols, text
    from pattlite_jax.scoring.inputs import load_inputs

    inputs = load_inputs(
      ensemble.load(given.checkpoint),
      data_flags.data_choice(given),
      split=given.split,
      challenge_lists=given.challenge_lists,
    )
    other = None
    if given.against:
      other = ensemble.load(given.against, "against")
    parallel.connect()
    batches = protocols.Batches(given.order, given.batch_size, given.seed)
    result, predictions = protocols.evaluate(
      inputs, batches, flip_views=given.flip_views
    )
    if other:
      found = paired.against(other, inputs, predictions, given.batch_size)
      scores = result["splits"][given.split]
      scores["against"] = {"checkpoint": given.against, **found}
  if not parallel.is_writer():
    return
  result = {"checkpoint": given.checkpoint, **result}
  print(text.report(result))
  if given.json:
    text = json.dumps(result | provenance.environment(), indent=1)
    durable.write_text(durable.with_folder(given.json), text + "\n")
  if given.predictions:
    arrays: dict[str, Any] = {
      **predictions,
      "class_names": result["class_names"],
    }
    file = io.BytesIO()
    np.savez(file, **arrays)
    durable.write_bytes(durable.with_folder(given.predictions), file.getvalue())
  if given.pictures:
    pictures.draw_evaluation(durable.named(given.pictures), result)


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main)
