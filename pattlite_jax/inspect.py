"""Looks at a data set before training: counts, sizes, duplicates, pictures.

python -m pattlite_jax.inspect --dataset folders --data_dir <folder>
  [--sheets DIR] [--packed F.npz] [--on_bad_image skip] [--json F]

Prints what of the files is odd, each broken image, the class counts of the
splits, the sizes of the images, and how many are in two splits. --sheets gets
a contact sheet of each class, a PNG. Exit status: 1 if an image is broken.
"""

import dataclasses
import json
import sys
from typing import Any

from absl import app, flags, logging

from pattlite_jax.data import flags as data_flags
from pattlite_jax.runtime import output


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  data_flags.define_data(values)
  flags.DEFINE_integer(
    "image_size",
    224,
    "Pixels a side of images that differ in size, as config.data.image_size.",
    lower_bound=1,
    flag_values=values,
  )
  for name, text in (
    ("sheets", "A folder for the contact sheets."),
    ("json", "A file for all that was found."),
  ):
    flags.DEFINE_string(name, None, text, flag_values=values)


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Prints the findings, and writes what the flags ask for."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  # Imported here so that --help needs none of it.
  from pattlite_jax.runtime import durable, errors, startup

  startup.configure()
  with errors.in_one_line(data_flags.OF_COMMANDS):
    found = _inspect(given)
    if given.json:
      text = json.dumps(found, indent=1) + "\n"
      durable.write_text(durable.with_folder(given.json), text)
  sys.exit(1 if found["broken"] else 0)


def _inspect(given: flags.FlagValues) -> dict[str, Any]:
  """Prints what is found as it is found, and returns it."""
  from pattlite_jax import config as config_lib
  from pattlite_jax.data import contact_sheet, overview
  from pattlite_jax.runtime import startup

  source = data_flags.data_choice(given).source(config_lib.get_config().data)
  source = dataclasses.replace(source, image_size=given.image_size)
  found: dict[str, Any] = {"dataset": source.name, "broken": []}
  if not source.packed:
    with startup.without_chatter():
      import tensorflow  # noqa: F401

    found |= overview.of_files(source.name, source.dir)
    print("\n".join(overview.file_lines(found)))
    if found["broken"] and not source.skip_bad:
      print("nothing more is looked at; --on_bad_image=skip leaves them out")
      return found
  # What loading warns of is among what is printed.
  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.ERROR)
  splits = source.load()
  logging.set_verbosity(verbosity)
  found |= overview.of_splits(splits)
  print("\n".join(overview.split_lines(found)), flush=True)
  found |= _compare(source, splits)
  if given.sheets:
    for path in contact_sheet.write_all(given.sheets, splits):
      print(path)
  return found


def _compare(source: Any, splits: Any) -> dict[str, Any]:
  """Compares images with each other, and class counts with the published."""
  from pattlite_jax.audit import duplicates, findings

  twice = duplicates.audit(splits)
  print(f"duplicates: {findings.duplicates(twice)}")
  others = sum(own["any"]["label_disagreements"] for own in twice["overlaps"])
  if others:
    print(f"  {others:,} of the pairs have different classes")
  found: dict[str, Any] = {"duplicates": twice}
  if not source.packed and not source.classes:
    from pattlite_jax.audit import counts

    found["counts"] = counts.audit(source.name, splits)
    if found["counts"]["published"]:
      print(f"counts: {findings.counts(found['counts'])}")
      print("".join(f"  {line}\n" for line in found["counts"]["differences"]))
  return found


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main)
