"""Audits a trained network and a data set: which numbers can be believed?

python -m pattlite_jax.audit --checkpoint runs/fer2013 [--split test]
  [--dataset ferplus/majority --data_dir <folder>] [--packed F.npz]
  [--nodata] [--json F] [--markdown F]

Asks (a) whether predictions depend on their batch, (b) whether splits overlap,
(c) whether split and class counts are the published ones, (d) which split chose
the epoch, (e) whether RAN's challenge lists fit. Without --checkpoint, (a) and
(d) are skipped; without TensorFlow, (c); with --nodata, what the data alone
answers: (b), (c) and (e).

Exit status: 0 when no prediction depends on its batch, 1 when one does, 2 for a
wrong flag or missing files.
"""

import functools
import importlib.util
import json
import sys
from typing import Any, NoReturn

from absl import flags

from pattlite_jax.data import flags as data_flags
from pattlite_jax.data.examples_check import SPLITS
from pattlite_jax.runtime import hosts, output

_SEED = 0  # Seed of the drawn images and of their orders.


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  data_flags.define_checkpoint(values, required=False)
  data_flags.define_data(values)
  flags.DEFINE_enum(
    "split",
    None,
    SPLITS,
    "The split to predict; default: test, or validation where test is empty.",
    flag_values=values,
  )
  flags.DEFINE_integer(
    "num_images",
    512,
    "Images drawn for (a), each class by its share.",
    lower_bound=2,
    flag_values=values,
  )
  flags.DEFINE_bool(
    "data",
    True,
    "Audit the data set, too; --nodata: the network alone, in less time.",
    flag_values=values,
  )
  for name, text in (
    ("challenge_lists", "A folder of RAN's lists, to check them."),
    ("json", "A file for all that was found."),
    ("markdown", "A file for a page about what was found."),
  ):
    flags.DEFINE_string(name, None, text, flag_values=values)
  hosts.define_flags(values)


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Prints the findings, writes what the flags ask for, exits with 0 or 1."""
  if len(argv) > 1:
    _stop(f"Unexpected arguments: {argv[1:]}")
  if not (given.checkpoint or given.dataset or given.packed):
    _stop(
      "Pass --checkpoint=<workdir>, --dataset=<name> or --packed=<file>, or a "
      "checkpoint and one of these."
    )
  if not (given.data or given.checkpoint):
    _stop("--nodata audits the network alone: pass --checkpoint=<workdir>.")
  if given.challenge_lists and not given.data:
    _stop("--challenge_lists are of the data: leave out --nodata.")
  # Imported here so that --help needs none of it.
  from pattlite_jax.runtime import errors, parallel, startup

  startup.configure()
  from pattlite_jax.audit import findings, page

  # A crash must not exit with 1, a verdict here.
  one_line = functools.partial(
    errors.in_one_line, data_flags.OF_COMMANDS, status=2
  )
  with one_line(), hosts.joined(given):
    with one_line():
      report = _audit(given)
      if parallel.is_writer():
        print(findings.summary(report))
        if given.json:
          _write(given.json, json.dumps(report, indent=1) + "\n")
        if given.markdown:
          _write(given.markdown, page.markdown(report))
    sys.exit(0 if report["batch_dependence"].get("passed", True) else 1)


def _audit(given: flags.FlagValues) -> dict[str, Any]:
  """Returns what --json holds."""
  from pattlite_jax import config as config_lib
  from pattlite_jax import trained
  from pattlite_jax.audit import selection
  from pattlite_jax.data import load
  from pattlite_jax.runtime import parallel, provenance
  from pattlite_jax.scoring.inputs import match_classes

  path = given.checkpoint
  network = trained.load(path) if path else None
  config = network.config if network else config_lib.get_config()
  source = data_flags.data_choice(given).source(config.data)
  splits = source.load()
  parallel.connect()
  split = given.split or ("test" if len(splits["test"]) else "validation")
  load.require_examples(splits[split], split, source.name)
  examples = splits[split]
  if network:  # Raises before anything takes time.
    examples = match_classes(examples, network.class_names)
  fell_back = split == "validation" and not given.split
  no_network = {"skipped": "there is no --checkpoint"}
  report = {
    "dataset": source.name,
    "split": split,
    "split_note": ", as the test split is empty" if fell_back else "",
    "checkpoint": path,
    "method": network.config.method if network else None,
    "attention": network.attention if network else None,
    "batch_dependence": no_network,
    **_audit_data(given, source, splits),
    "selection": selection.audit(network) if network else no_network,
  }
  if network:
    _audit_network(network, split, examples, report, given.num_images)
  return report | provenance.environment()


def _audit_data(
  given: flags.FlagValues, source: Any, splits: Any
) -> dict[str, Any]:
  """Returns what needs no network."""
  if not given.data:
    left_out = {"skipped": "--nodata"}
    return dict.fromkeys(("duplicates", "counts", "challenge_lists"), left_out)
  from pattlite_jax.audit import duplicates

  return {
    # The lists first, as they may be wrong: the rest takes time.
    "challenge_lists": _audit_lists(
      given.challenge_lists, source, splits["test"]
    ),
    "duplicates": duplicates.audit(splits),
    "counts": _audit_counts(source, splits),
  }


def _audit_lists(folder: str | None, source: Any, test: Any) -> dict[str, Any]:
  if not folder:
    return {"skipped": "there is no --challenge_lists"}
  from pattlite_jax.audit import lists

  data_dir = None if source.packed else source.dir
  return lists.audit(source.name, folder, data_dir, test)


def _audit_counts(source: Any, splits: Any) -> dict[str, Any]:
  if source.classes:
    return {"skipped": "the published counts are of all classes"}
  if not importlib.util.find_spec("tensorflow_datasets"):
    return {"skipped": "the published counts need tensorflow-datasets"}
  from pattlite_jax.audit import counts

  return counts.audit(source.name, splits)


def _audit_network(
  network: Any,
  split: str,
  examples: Any,
  report: dict[str, Any],
  num_images: int,
) -> None:
  """Adds to the report what needs predictions."""
  from pattlite_jax.audit import batch_dependence, duplicates, of_trained

  drawn = batch_dependence.sample(examples, num_images, seed=_SEED)
  report["batch_dependence"] = batch_dependence.audit(
    of_trained.logits_of(network), drawn, seed=_SEED
  )
  pairs = report["duplicates"]
  if split != "train" and "skipped" not in pairs:
    logits = of_trained.logits_alone(network, examples)
    pairs["clean"] = {
      "split": split,
      "parts": duplicates.score_clean(pairs, split, examples, logits),
    }


def _write(path: str, text: str) -> None:
  from pattlite_jax.runtime import durable

  durable.write_text(durable.with_folder(path), text)


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
  define_flags(flags.FLAGS)
  output.run(main, flags_parser=_parse_flags)
