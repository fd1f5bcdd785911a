"""What a look at a data set finds: broken files, class counts, sizes."""

import collections
import concurrent.futures
import os
from collections.abc import Mapping, Sequence
from typing import Any

from pattlite_jax.data import image_progress, load, user_files
from pattlite_jax.data.examples import Examples, class_counts
from pattlite_jax.data.readers import image_file, image_folder
from pattlite_jax.runtime.errors import UserError

_SHOWN = 10


def of_files(name: str, data_dir: str) -> dict[str, Any]:
  """Returns what is odd about the files of a data set, each image opened.

  Raises:
    UserError, MissingFileError: as `load.load_splits`.
  """
  files, remarks = load.files_of(name, data_dir)
  images = [path for path in files if image_folder.is_image(path)]
  broken, sizes = _open_all(images)
  return {
    "files": len(files),
    "remarks": remarks,
    "broken": broken,
    "sizes": [
      {"height": height, "width": width, "images": number}
      for (height, width), number in sizes.most_common()
    ],
  }


def _open_all(
  paths: Sequence[user_files.Path],
) -> tuple[list[str], collections.Counter[tuple[int, int]]]:
  """Returns why images cannot be read, and how many have each size."""
  broken, sizes = [], collections.Counter()
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    sizes_read = pool.map(_size, paths)
    for result in image_progress.shown(sizes_read, "opened", len(paths)):
      if isinstance(result, str):
        broken.append(result)
      else:
        sizes[result] += 1
  return broken, sizes


def _size(path: user_files.Path) -> tuple[int, int] | str:
  """Returns height and width of a picture, or what is wrong with it."""
  try:
    height, width, _ = image_file.read_image(path, channels=3).shape
  except (UserError, OSError) as error:
    return str(error)
  return height, width


def file_lines(found: Mapping[str, Any]) -> list[str]:
  """Returns what `of_files` found, for a terminal."""
  files = found["files"]
  lines = [f"{found['dataset']}: {files:,} file{'s' * (files != 1)}"]
  lines += [f"  note: {remark}" for remark in found["remarks"]]
  broken = found["broken"]
  if broken:
    lines.append(f"broken images: {len(broken):,}")
    lines += [f"  {reason}" for reason in broken[:_SHOWN]]
    if len(broken) > _SHOWN:
      lines.append(f"  and {len(broken) - _SHOWN:,} more (--json has all)")
  elif found["sizes"]:
    lines.append(_sizes(found["sizes"]))
  return lines


def _sizes(sizes: Sequence[Mapping[str, int]]) -> str:
  first, *others = sizes
  text = f"images of {first['height']} x {first['width']} pixels"
  if not others:
    return f"{text}: all {first['images']:,}"
  heights = sorted(size["height"] for size in sizes)
  widths = sorted(size["width"] for size in sizes)
  return (
    f"images of {len(sizes):,} sizes, {heights[0]} to {heights[-1]} pixels "
    f"high and {widths[0]} to {widths[-1]} wide; most often "
    f"{first['height']} x {first['width']} ({first['images']:,})"
  )


def of_splits(splits: Mapping[str, Examples]) -> dict[str, Any]:
  """Returns class counts, and the shape that a network gets."""
  any_split = next(iter(splits.values()))
  return {
    "class_names": list(any_split.class_names),
    "splits": {
      name: class_counts(split).tolist() for name, split in splits.items()
    },
    "image_shape": list(any_split.images.shape[1:]),
  }


def split_lines(found: Mapping[str, Any]) -> list[str]:
  """Returns what `of_splits` found as a table, for a terminal."""
  height, width, channels = found["image_shape"]
  kind = "grey" if channels == 1 else "colour"
  names = found["class_names"]
  longest = max(map(len, [*names, "all"]))
  splits = found["splits"]
  lines = [
    f"a network gets {height} x {width} pixels, {kind}",
    f"{'':<{longest}}" + "".join(f"{split:>12}" for split in splits),
  ]
  for label, name in enumerate(names):
    counts = [own[label] for own in splits.values()]
    lines.append(f"{name:<{longest}}" + "".join(f"{n:>12,}" for n in counts))
  totals = [sum(own) for own in splits.values()]
  lines.append(f"{'all':<{longest}}" + "".join(f"{n:>12,}" for n in totals))
  return lines
