"""Contact sheets: some images of each class on one picture, to look at."""

import pathlib
import re
from collections.abc import Iterator, Mapping

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from pattlite_jax.data import user_files
from pattlite_jax.data.examples import Examples
from pattlite_jax.runtime.errors import UserError

COLUMNS, ROWS = 10, 8
_TILE = 96  # Pixels a side.
_GAP = 4
_TITLE = 28  # Pixels in height.
_SEED = 0


def write_all(
  folder: str, splits: Mapping[str, Examples]
) -> Iterator[pathlib.Path]:
  """Writes a PNG of each class of which there are images, yields their paths.

  Raises:
    UserError: if the folder is no local one.
  """
  place = user_files.folder(folder)
  if not isinstance(place, pathlib.Path):
    raise UserError(f"--sheets is {folder}, but must be a local folder.")
  place.mkdir(parents=True, exist_ok=True)
  class_names = next(iter(splits.values())).class_names
  for label, name in enumerate(class_names):
    picture = sheet(splits, label)
    if picture:
      plain = re.sub(r"[^\w-]+", "_", name)
      path = place / f"{label}_{plain}.png"
      picture.save(path)
      yield path


def sheet(splits: Mapping[str, Examples], label: int) -> PIL.Image.Image | None:
  """Returns images of a class, drawn from each split by its share.

  None if there is no image of the class. Train comes first; a frame's colour
  tells the split, as the title does.
  """
  rows = {k: np.flatnonzero(own.labels == label) for k, own in splits.items()}
  total = sum(map(len, rows.values()))
  if not total:
    return None
  shown = min(total, COLUMNS * ROWS)
  drawn = np.random.default_rng([_SEED, label]).permutation(total)[:shown]
  places = [(split, row) for split, own in rows.items() for row in own]
  class_name = next(iter(splits.values())).class_names[label]
  height = _TITLE + -(-shown // COLUMNS) * (_TILE + _GAP) + _GAP
  canvas = PIL.Image.new(
    "RGB", (COLUMNS * (_TILE + _GAP) + _GAP, height), "white"
  )
  _write_title(canvas, class_name, shown, rows)
  for number, index in enumerate(sorted(drawn.tolist())):
    split, row = places[index]
    line, column = divmod(number, COLUMNS)
    corner = (
      _GAP + column * (_TILE + _GAP),
      _TITLE + _GAP + line * (_TILE + _GAP),
    )
    _paste(
      canvas, splits[split].images[row], corner, _COLOURS.get(split, "grey")
    )
  return canvas


_COLOURS = {"train": "black", "validation": "royalblue", "test": "firebrick"}


def _write_title(canvas, class_name, shown, rows) -> None:
  draw = PIL.ImageDraw.Draw(canvas)
  font = PIL.ImageFont.load_default(16)
  x = _GAP
  words = [(f"{class_name}: {shown:,} of", "black")]
  words += [
    (f"{len(own):,} {split}", _COLOURS.get(split, "grey"))
    for split, own in rows.items()
  ]
  for text, colour in words:
    # Pillow's own font has no letters beyond Latin.
    text = text.encode("latin-1", "replace").decode("latin-1")
    draw.text((x, _GAP), text, fill=colour, font=font)
    x += int(draw.textlength(text, font=font)) + 12


def _paste(canvas, image, corner, colour) -> None:
  picture = PIL.Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
  picture = picture.convert("RGB").resize(
    (_TILE, _TILE), PIL.Image.Resampling.BILINEAR
  )
  x, y = corner
  frame = (x - 2, y - 2, x + _TILE + 1, y + _TILE + 1)
  PIL.ImageDraw.Draw(canvas).rectangle(frame, fill=colour)
  canvas.paste(picture, corner)
