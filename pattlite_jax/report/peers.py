"""Our networks beside what people install: the commands, and the table."""

from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath

from pattlite_jax.benchmark.on_faces import OURS
from pattlite_jax.benchmark.peers.names import PEERS
from pattlite_jax.runtime import json_file
from pattlite_jax.runtime.errors import UserError
from pattlite_jax.scoring.text import markdown_table, percent

NAME = "peers"
_FOLDER = ".peers"  # Where launch/peers.sh installs them.
_DATA = "data/fer2013"
# The results: the command of `benchmark`, our network, and the data set.
ROWS = {
  "fer2013": ("on_faces", "fer2013", "fer2013"),
  "ferplus": ("on_faces", "ferplus", "ferplus/argmax"),
  "photographs": ("on_photos", "ferplus", "ferplus/argmax"),
}
_DATA_SETS = {"fer2013": "FER2013", "ferplus": "FER+"}
_SPLITS = {"validation": "PublicTest", "test": "PrivateTest"}
_FLAGS = {"--config.data.dir": "data_dir", "--config.data.packed": "packed"}
_COLUMNS = (
  "network", "version", "accuracy", "macro F1", "calibration error",
  "parameters", "weights", "ms a face", "runtime",
)  # fmt: skip
_OF_PHOTOS = (
  "tool", "faces found", "boxes elsewhere", "accuracy of those found",
  "accuracy of all", "ms a picture",
)  # fmt: skip


def commands(
  extra: Sequence[str], rows: Sequence[str] = tuple(ROWS)
) -> Iterator[tuple[list[str], epath.Path]]:
  """Yields the command of each row, and the result that it leaves.

  `extra` may say where the data lies, as a training's command does.

  Raises:
    UserError: for another field, or another row.
  """
  flags = {}
  for argument in extra:
    flag, _, value = argument.partition("=")
    if flag not in _FLAGS:
      raise UserError(
        f"The table {NAME!r} trains nothing, so that it takes "
        f"{' and '.join(_FLAGS)}, but not {argument!r}."
      )
    flags[_FLAGS[flag]] = value
  for name in rows:
    if name not in ROWS:
      raise UserError(f"--rows has {name!r}, but must be of {list(ROWS)}.")
    module, network, dataset = ROWS[name]
    path = f"results/{NAME}/{name}.json"
    own = {} if "packed" in flags else {"data_dir": _DATA}
    yield (
      [
        "python",
        "-m",
        f"pattlite_jax.benchmark.{module}",
        f"--network={network}",
        f"--peers={_FOLDER}",
        f"--dataset={dataset}",
        *(f"--{flag}={value}" for flag, value in (own | flags).items()),
        f"--json={path}",
      ],
      epath.Path(path),
    )


def text(folder: epath.Path) -> list[str]:
  """Returns a table for each result in the folder; nothing if there is none.

  Raises:
    UserError: for a file that holds no such result.
  """
  found: list[str] = []
  for name, (module, network, _) in ROWS.items():
    path = folder / f"{name}.json"
    if path.exists():
      result = json_file.read(path)
      show = _of_photos if module == "on_photos" else _of_network
      try:
        found += [*show(network, result), ""]
      except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(
          f"{path} is no result of benchmark.{module}: {error!r}"
        ) from error
  return found


def _of_network(name: str, result: dict[str, Any]) -> list[str]:
  entries = result["networks"]
  count = entries[OURS]["figures"]["num_examples"]
  labels = {OURS: f'`load("{name}")`', **PEERS}
  return [
    f"### {_DATA_SETS[result['dataset']]}, {_SPLITS[result['split']]}: "
    f"{count:,} faces, {len(result['class_names'])} classes",
    "",
    *markdown_table(
      _COLUMNS,
      [_row(label, entries[key]) for key, label in labels.items()],
    ),
  ]


def _of_photos(name: str, result: dict[str, Any]) -> list[str]:
  labels = {OURS: f"`predict --model {name}`", **PEERS}
  return [
    f"### Finding and reading {result['pictures']:,} faces in pictures",
    "",
    *markdown_table(
      _OF_PHOTOS,
      [
        [
          labels[key],
          percent(own["found"] / result["pictures"]),
          f"{own['boxes_elsewhere']:,}",
          percent(own["accuracy_of_found"]),
          percent(own["accuracy_of_all"]),
          f"{own['ms']:.1f}",
        ]
        for key, own in result["tools"].items()
      ],
    ),
  ]


def _row(label: str, entry: dict[str, Any]) -> list[str]:
  figures = entry["figures"]
  return [
    label,
    _plain(entry["version"]) if not label.startswith("`") else "",
    *(percent(figures[key]) for key in ("accuracy", "macro_f1", "ece")),
    f"{entry['parameters']:,}",
    f"{entry['bytes'] / 1e6:.2f} MB",
    f"{entry['ms']:.1f}",
    _plain(entry["runtime"]),
  ]


def _plain(words: str) -> str:
  """Returns words of a file that cannot end a cell of a table."""
  if set(words) & set("|<>[]`\n"):
    raise ValueError(words)
  return words
