"""Audits a trained network and a data set: which numbers can be believed?

python -m pattlite_jax.audit --checkpoint runs/fer2013 [--split test]
  [--dataset ferplus/majority --data_dir <folder>] [--json F] [--markdown F]

Asks (a) whether predictions depend on their batch, (b) whether splits overlap,
(c) whether split and class counts are the published ones, (d) which split chose
the epoch, (e) whether RAN's challenge lists fit. Without --checkpoint, (a) and
(d) are skipped. Exit status: 0 when no prediction depends on its batch, 1 when
one does, 2 for a wrong flag or missing files.
"""

import json
import sys
from typing import Any, NoReturn

from absl import app, flags

from pattlite_jax.data.load import SPLITS
from pattlite_jax.runtime import hosts
from pattlite_jax.runtime.errors import UserError

_CHECKPOINT = flags.DEFINE_string(
  "checkpoint",
  None,
  "A run's workdir, one step's folder in it, a folder that release wrote, or "
  "the name of a shipped model.",
)
_DATASET = flags.DEFINE_string(
  "dataset", None, "A data set, such as ferplus/majority; default: its own."
)
_DATA_DIR = flags.DEFINE_string(
  "data_dir", None, "Where the data set's files lie; default: as in training."
)
_SPLIT = flags.DEFINE_enum(
  "split",
  None,
  SPLITS,
  "What is predicted; default: test, or validation where test is empty.",
)
_NUM_IMAGES = flags.DEFINE_integer(
  "num_images", 512, "Images drawn for (a), each class by its share.", 2
)
_CHALLENGE_LISTS = flags.DEFINE_string(
  "challenge_lists", None, "A folder of RAN's lists, to check them."
)
_JSON = flags.DEFINE_string("json", None, "A file for all that was found.")
_MARKDOWN = flags.DEFINE_string("markdown", None, "A file for a page of it.")
_SEED = 0  # Of the drawn images and their orders.


def main(argv: list[str]) -> None:
  """Prints the findings, writes what the flags ask for, exits with 0 or 1."""
  if len(argv) > 1:
    _stop(f"Unexpected arguments: {argv[1:]}")
  if not _CHECKPOINT.value and not _DATASET.value:
    _stop("Pass --checkpoint=<workdir>, --dataset=<name>, or both.")
  # Imported here so that --help needs none of it.
  from pattlite_jax.runtime import errors, parallel, startup

  startup.configure()
  from pattlite_jax.audit import findings, page

  # A crash must not exit with 1, a verdict here.
  one_line = {"status": 2, "data_flags": True}
  with errors.in_one_line(**one_line), hosts.joined():
    with errors.in_one_line(**one_line):
      report = _audit()
      if parallel.is_writer():
        if _JSON.value:
          _write(_JSON.value, json.dumps(report, indent=1) + "\n")
        if _MARKDOWN.value:
          _write(_MARKDOWN.value, page.markdown(report))
        print(findings.summary(report))
    sys.exit(0 if report["batch_dependence"].get("passed", True) else 1)


def _audit() -> dict[str, Any]:
  """Returns what --json holds."""
  from pattlite_jax import trained
  from pattlite_jax.audit import counts, duplicates, lists, selection
  from pattlite_jax.data import load
  from pattlite_jax.runtime import provenance
  from pattlite_jax.scoring import protocols

  path = _CHECKPOINT.value
  network = trained.load(path) if path else None
  dataset, data_dir, fields = _data_flags(network)
  splits = load.load_splits(
    dataset,
    data_dir=data_dir,
    prepared_dir=fields.prepared_dir,
    image_size=fields.image_size,
  )
  split = _SPLIT.value or ("test" if len(splits["test"]) else "validation")
  load.require_examples(splits[split], split, dataset)
  examples = splits[split]
  if network:  # Raises before anything takes time.
    examples = protocols.match_classes(examples, network.class_names)
  challenge_lists = {"skipped": "there is no --challenge_lists"}
  if _CHALLENGE_LISTS.value:
    challenge_lists = lists.audit(
      dataset, _CHALLENGE_LISTS.value, data_dir, splits["test"]
    )
  fell_back = split == "validation" and not _SPLIT.value
  no_network = {"skipped": "there is no --checkpoint"}
  report = {
    "dataset": dataset,
    "split": split,
    "split_note": ", as the test split is empty" if fell_back else "",
    "checkpoint": path,
    "attention": network.attention if network else None,
    "batch_dependence": no_network,
    "duplicates": duplicates.audit(splits),
    "counts": counts.audit(dataset, splits),
    "selection": selection.audit(network) if network else no_network,
    "challenge_lists": challenge_lists,
  }
  if network:
    _audit_network(network, split, examples, report)
  return report | provenance.environment()


def _data_flags(network: Any) -> tuple[str, str, Any]:
  """Returns the data set, its folder, and the config's data fields."""
  from pattlite_jax import config as config_lib

  fields = (network.config if network else config_lib.get_config()).data
  dataset = _DATASET.value or fields.name
  if not dataset:
    raise UserError(
      "The checkpoint names no data set; pass --dataset=<name> and --data_dir."
    )
  data_dir = fields.dir if _DATA_DIR.value is None else _DATA_DIR.value
  return dataset, data_dir, fields


def _audit_network(
  network: Any, split: str, examples: Any, report: dict[str, Any]
) -> None:
  """Adds to the report what needs predictions."""
  from pattlite_jax.audit import batch_dependence, duplicates, of_trained

  drawn = batch_dependence.sample(examples, _NUM_IMAGES.value, seed=_SEED)
  report["batch_dependence"] = batch_dependence.audit(
    of_trained.logits_of(network), drawn, seed=_SEED
  )
  if split != "train":
    logits = of_trained.logits_alone(network, examples)
    report["duplicates"]["clean"] = {
      "split": split,
      "parts": duplicates.score_clean(
        report["duplicates"], split, examples, logits
      ),
    }


def _write(path: str, text: str) -> None:
  from etils import epath

  epath.Path(path).expanduser().write_text(text)


def _stop(message: str) -> NoReturn:
  print(f"Error: {message}", file=sys.stderr)
  sys.exit(2)  # app.UsageError would exit with 1, which is a verdict here.


def _parse_flags(argv: list[str]) -> list[str]:
  try:
    return flags.FLAGS(argv)
  except flags.Error as error:
    _stop(str(error))
  except SystemExit:  # --help exits with 1.
    sys.exit(0)


if __name__ == "__main__":
  app.run(main, flags_parser=_parse_flags)
