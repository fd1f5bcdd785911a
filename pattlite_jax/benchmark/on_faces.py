"""Scores a network beside what people would install, on the same faces.

python -m pattlite_jax.benchmark.on_faces --network fer2013 --peers .peers
  --dataset fer2013 [--data_dir F] [--packed F.npz] [--split validation]
  --json results/peers/fer2013.json

`launch/peers.sh` installs the peers in the folder. Every network sees each face
as the data set cuts it, alone, with its own package's preprocessing. Scored are
the classes that all know: of FER+ contempt is left out, as no peer has it, and
each network's answer is the likeliest of the others. Times are medians of a
face alone, in each one's own runtime.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import app, flags

from pattlite_jax.data import flags as data_flags
from pattlite_jax.runtime import output

OURS = "ours"


def common_classes(
  examples: Any, class_names: Mapping[str, Sequence[str]]
) -> tuple[list[str], np.ndarray, np.ndarray, dict[str, list[Any]]]:
  """Returns the classes that the data set and all networks know.

  With them: which images have one, their labels among these classes, and where
  each network has the classes. `examples` are `data.examples.Examples`.
  """
  from pattlite_jax.data import class_names as names_lib

  places = {  # Of each class, where each network has it.
    name: [names_lib.index_in(own, name) for own in class_names.values()]
    for name in examples.class_names
  }
  common = [name for name, found in places.items() if None not in found]
  kept = np.isin(
    examples.labels, [examples.class_names.index(name) for name in common]
  )
  renumbered = [
    common.index(name) if name in common else -1
    for name in examples.class_names
  ]
  labels = np.array(renumbered, np.int32)[examples.labels[kept]]
  columns = {
    network: [places[name][number] for name in common]
    for number, network in enumerate(class_names)
  }
  return common, kept, labels, columns


def compare(
  examples: Any, answers: Mapping[str, Any]
) -> tuple[list[str], dict[str, Any]]:
  """Returns the classes that all know, and the figures of each network.

  `examples` are `data.examples.Examples`, `answers` an `installed.Answers` of
  each network on their images.
  """
  from pattlite_jax.scoring import metrics

  common, kept, labels, columns = common_classes(
    examples, {name: found.class_names for name, found in answers.items()}
  )
  entries = {}
  for name, found in answers.items():
    shares = found.probabilities[kept][:, columns[name]]
    # One that is rounded to 0 would have no finite logarithm.
    logits = np.log(np.maximum(shares, np.finfo(np.float32).tiny))
    entries[name] = {
      "version": found.version,
      "runtime": found.runtime,
      "bytes": found.num_bytes,
      "parameters": found.parameters,
      "ms": float(np.median(found.milliseconds)),
      "figures": metrics.score(logits, labels, ids=examples.ids[kept]),
    }
  return common, entries


def measure(
  network: str, peers: str, examples: Any, names: Sequence[str]
) -> dict[str, Any]:
  """Returns what the JSON has, of `network` and the peers of these names.

  Raises:
    MissingFileError, UserError: as `installed.ours` and `installed.peer`.
  """
  from pattlite_jax.benchmark.peers import installed

  faces = examples.images
  answers = {OURS: installed.ours(network, faces)}
  for name in names:
    answers[name] = installed.peer(name, peers, faces)
  common, entries = compare(examples, answers)
  return {"network": network, "class_names": common, "networks": entries}


def load(given: flags.FlagValues) -> Any:
  """Returns the split that the flags name, as `scoring.inputs` loads it."""
  from pattlite_jax import trained
  from pattlite_jax.scoring.inputs import load_inputs

  return load_inputs(
    trained.load(given.network, "network"),
    data_flags.data_choice(given),
    split=given.split,
    challenge_lists=None,
  )


def write(file: str, result: dict[str, Any]) -> None:
  """Writes a result, with what it was measured by, to a file."""
  from pattlite_jax.runtime import durable, provenance

  path = durable.named(file)
  path.parent.mkdir(parents=True, exist_ok=True)
  text = json.dumps({**result, **provenance.environment()}, indent=1)
  durable.write_text(path, text + "\n")


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags that `main` reads."""
  for name, text in (
    ("network", "The network, as pattlite_jax.load takes it."),
    ("peers", "The folder in which launch/peers.sh has installed the peers."),
    ("json", "The file to write."),
  ):
    flags.DEFINE_string(name, None, text, required=True, flag_values=values)
  flags.DEFINE_string(
    "split", "validation", "The split to score.", flag_values=values
  )
  data_flags.define_data(values)


def main(argv: list[str], given: flags.FlagValues = flags.FLAGS) -> None:
  """Asks all networks, and writes --json."""
  if len(argv) > 1:
    raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
  # Imported here so that --help needs none of it.
  from pattlite_jax.benchmark.peers.names import PEERS
  from pattlite_jax.runtime import errors, startup

  startup.configure()
  with errors.in_one_line(data_flags.OF_COMMANDS), startup.without_chatter():
    inputs = load(given)
    found = measure(given.network, given.peers, inputs.examples, list(PEERS))
    family, _, rule = inputs.dataset.partition("/")
    about = {"dataset": family, "rule": rule or None, "split": given.split}
    write(given.json, about | found)
  for name, entry in found["networks"].items():
    figures = entry["figures"]
    print(
      f"{name:<10}accuracy {100 * figures['accuracy']:6.2f} %  macro F1 "
      f"{100 * figures['macro_f1']:6.2f} %  {entry['ms']:6.1f} ms a face"
    )


if __name__ == "__main__":
  define_flags(flags.FLAGS)
  output.run(main)
