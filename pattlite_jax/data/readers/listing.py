"""What lies in the folder of a data set, as people keep it.

What systems leave behind is passed over at every level; names are found in any
letter case; a set that lies one folder deeper is found there.
"""

import collections
import difflib
import pathlib
import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from pattlite_jax.data import user_files
from pattlite_jax.runtime.errors import UserError

# In lower case. What begins with a dot is left out, too: .DS_Store, ._x.jpg.
CLUTTER = {
  "__macosx",
  "@eadir",
  "#recycle",
  "$recycle.bin",
  "system volume information",
  "lost+found",
  "thumbs.db",
  "ehthumbs.db",
  "desktop.ini",
  "icon\r",
}
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_SHOWN = 8  # Names in a message.


def children(folder: user_files.Path) -> list[user_files.Path]:
  """Returns what is in a folder, by name, without clutter; [] for no folder."""
  if not folder.is_dir():
    return []
  found = [path for path in folder.iterdir() if not is_clutter(path.name)]
  return sorted(found, key=lambda path: path.name)


def is_clutter(name: str) -> bool:
  """Whether a system wrote a file or folder of this name."""
  return name.startswith(".") or name.lower() in CLUTTER


def child(
  folder: user_files.Path, names: Sequence[str]
) -> user_files.Path | None:
  """Returns what is called the first of `names`, in any letter case."""
  by_name = {path.name.casefold(): path for path in children(folder)}
  for path in children(folder):  # The very name comes before the others.
    by_name[path.name] = path
  for name in names:
    for written in (name, name.casefold()):
      if written in by_name:
        return by_name[written]
  return None


def folders(folder: user_files.Path) -> list[user_files.Path]:
  """Returns the folders in a folder, by name, without clutter."""
  return [path for path in children(folder) if path.is_dir()]


def root(
  data_dir: user_files.Path, is_root: Callable[[user_files.Path], object]
) -> user_files.Path | None:
  """Returns the folder that is a set's own: `data_dir`, or the one in it.

  Raises:
    UserError: if several folders in it could be.
  """
  if is_root(data_dir):
    return data_dir
  found = [path for path in folders(data_dir) if is_root(path)]
  if len(found) > 1:
    names = ", ".join(shown(path.name) for path in found[:_SHOWN])
    raise UserError(
      f"{data_dir} has several folders with such a data set: {names}. Choose "
      "one of them as the data directory.",
      setting="data.dir",
    )
  return found[0] if found else None


def files_below(folder: user_files.Path) -> Iterator[user_files.Path]:
  """Yields all files at any depth, folder by folder, without clutter."""
  for path in children(folder):
    if not path.is_dir():
      yield path
    elif not _leads_back(path):
      yield from files_below(path)


def _leads_back(folder: user_files.Path) -> bool:
  """Whether a folder is a link to one that it lies in."""
  if not isinstance(folder, pathlib.Path) or not folder.is_symlink():
    return False
  return folder.resolve() in folder.absolute().parents


def unread(
  folder: user_files.Path, read: Iterable[user_files.Path]
) -> list[str]:
  """Returns a line that counts the files below a folder that are not read."""
  known = set(read)
  left = [path for path in files_below(folder) if path not in known]
  if not left:
    return []
  kinds = collections.Counter(
    path.suffix.lower() or "no ending" for path in left
  )
  counts = ", ".join(f"{n:,} {shown(kind)}" for kind, n in kinds.most_common(5))
  first = shown(left[0].relative_to(folder).as_posix())
  return [
    f"{len(left):,} file{'s' * (len(left) > 1)} in {folder} "
    f"{'are' if len(left) > 1 else 'is'} not read ({counts}), such as {first}."
  ]


def describe(data_dir: user_files.Path) -> str:
  """Says in one sentence what is at a place where a set was looked for."""
  if data_dir.is_file():
    return "That is a file."
  if not data_dir.exists():
    near = _nearest(data_dir)
    return "There is no such folder." + (
      f" Did you mean {near}?" if near else ""
    )
  found = children(data_dir)
  if not found:
    return "The folder is empty."
  inside = [path for path in found if path.is_dir()]
  names = [f"{shown(path.name)}/" for path in inside]
  names += [shown(path.name) for path in found if path not in inside]
  more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
  text = f"It holds {', '.join(names[:_SHOWN])}{more}."
  packed = [p.name for p in found if p.name.lower().endswith(ARCHIVES)]
  if packed:
    text += f" If the set is in {shown(packed[0])}, unpack that first."
  return text


def _nearest(path: user_files.Path) -> user_files.Path | None:
  """Returns a folder beside a missing one whose name is much like its own."""
  beside = {p.name.casefold(): p for p in folders(path.parent)}
  near = difflib.get_close_matches(path.name.casefold(), beside, 1, 0.75)
  return beside[near[0]] if near else None


def shown(name: str) -> str:
  """Returns a name as a message can hold it: short, and in one line."""
  text = repr(name)[1:-1]
  return text if len(text) <= 60 else reprlib.repr(name)
