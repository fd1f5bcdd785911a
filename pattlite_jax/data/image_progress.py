"""How far a pass over images is, for whoever sits at a terminal."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

_SECONDS = 1.0  # Between two lines.
_Item = TypeVar("_Item")


def shown(
  items: Iterable[_Item], done: str, total: int | None = None, each: int = 1
) -> Iterator[_Item]:
  """Yields the items, and tells a terminal how many images there were.

  `done` is what has happened to them, such as "opened". An item is `each`
  images, of `total`, if that is known.
  """
  if not sys.stderr.isatty():
    yield from items
    return
  last = time.monotonic()
  for number, item in enumerate(items, start=1):
    yield item
    if time.monotonic() - last >= _SECONDS:
      last = time.monotonic()
      text = f"{number * each:,} images {done}"
      if total:
        count = min(number * each, total)
        share = 100 * count // total
        text = f"{count:,} of {total:,} images ({share} %) {done}"
      print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
  print("\r\033[K", end="", file=sys.stderr, flush=True)
