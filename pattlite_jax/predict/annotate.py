"""Copies of pictures with boxes, bars of the likeliest classes and a legend."""

import functools
import math
from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from pattlite_jax.data.readers import image_file
from pattlite_jax.predict.detection import boxes as boxes_lib
from pattlite_jax.predict.photo import Face
from pattlite_jax.runtime.array_types import UInt8
from pattlite_jax.runtime.errors import UserError

# Okabe and Ito's colours, which people with any colour vision tell apart.
PALETTE = (
  *("#e69f00", "#56b4e9", "#009e73", "#f0e442"),
  *("#0072b2", "#d55e00", "#cc79a7", "#bbbbbb"),
)
_SHOWN = 3  # Classes with a bar.
_SMALLEST, _LARGEST = 11, 48  # Pixels of the letters.
_WIDEST = 8_000  # Pixels of the legend.
_PAPER, _INK = "#101010", "#ffffff"
MAX_PIXELS = 2 * image_file.MAX_PIXELS  # Pillow takes four bytes for each.


def colour(class_number: int) -> str:
  """Returns the colour of a class; they repeat after eight."""
  return PALETTE[class_number % len(PALETTE)]


@functools.cache
def font(size: int) -> PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont:
  """Returns Pillow's own font, in pixels."""
  return PIL.ImageFont.load_default(size)


def annotated(
  pixels: UInt8[np.ndarray, "H W 3"],
  faces: Sequence[Face],
  class_names: Sequence[str],
  caption: str,
) -> PIL.Image.Image:
  """Returns an RGB picture with its faces marked, and a legend below it.

  It has even height and width, which videos need.

  Raises:
    UserError: if it would have more than `MAX_PIXELS`, as below a long strip.
  """
  height, width, _ = pixels.shape
  size = int(np.clip(max(width, height) / 50, _SMALLEST, _LARGEST))
  legend = _legend(min(width, _WIDEST), size, class_names, caption)
  whole = tuple(n + n % 2 for n in (width, height + legend.height))
  if math.prod(whole) > MAX_PIXELS:
    raise UserError(
      f"its marked copy would have {math.prod(whole):,} pixels, but at most "
      f"{MAX_PIXELS:,} are drawn"
    )
  canvas = PIL.Image.new("RGB", whole, _PAPER)
  canvas.paste(PIL.Image.fromarray(pixels))
  taken: list[tuple[float, ...]] = [face.box for face in faces]
  for face in faces:
    taken.append(_mark(canvas, (width, height), face, taken, size))
  canvas.paste(legend, (0, height))
  return canvas


def _mark(
  canvas: PIL.Image.Image,
  edge: tuple[int, int],
  face: Face,
  taken: list[tuple[float, ...]],
  size: int,
) -> tuple[float, ...]:
  """Draws a face's box and bars, beside what is `taken`; returns the bars'."""
  draw = PIL.ImageDraw.Draw(canvas)
  top = face.probabilities.argsort()[::-1][:_SHOWN]
  line = max(size // 6, 2)
  draw.rectangle(face.box, outline=colour(int(top[0])), width=line)
  # No wider than about twice the face, so that a crowd is seen.
  panel = _bars(
    face,
    top.tolist(),
    int(np.clip((face.box[2] - face.box[0]) / 6, _SMALLEST, size)),
  )
  box = _place(panel.size, face.box, edge, taken, line)
  canvas.paste(panel, (int(box[0]), int(box[1])))
  return box


def _place(
  panel: tuple[int, int],
  box: tuple[float, ...],
  edge: tuple[int, int],
  taken: list[tuple[float, ...]],
  gap: int,
) -> tuple[float, ...]:
  """Returns the box of a panel below, above or beside a face.

  It lies within the picture, and covers as little as can be of what is taken.
  """
  width, height = panel
  left, upper, right, lower = map(round, box)
  places = []
  for x, y in (
    (left, lower + gap),
    (left, upper - gap - height),
    (right + gap, upper),
    (left - gap - width, upper),
  ):
    x = min(max(x, 0), max(edge[0] - width, 0))
    y = min(max(y, 0), max(edge[1] - height, 0))
    places.append(tuple(map(float, (x, y, x + width, y + height))))
  others = np.array([*taken, box], np.float64)
  covered = [
    boxes_lib.intersection(np.array(place, np.float64), others).sum()
    for place in places
  ]
  return places[int(np.argmin(covered))]


def _bars(face: Face, classes: list[int], size: int) -> PIL.Image.Image:
  """Returns a panel: a line a class, its bar as long as its probability."""
  text = font(size)
  names = [face.class_names[k] for k in classes]
  column = max(round(text.getbbox(name)[2]) for name in names) + size // 2
  bar, step = 4 * size, round(1.3 * size)
  number = round(text.getbbox("100%")[2]) + 2 * (size // 3)
  width = size // 3 + column + bar + number
  panel = PIL.Image.new("RGB", (width, step * len(classes) + size // 3), _PAPER)
  draw = PIL.ImageDraw.Draw(panel)
  for row, (k, name) in enumerate(zip(classes, names, strict=True)):
    y, x = row * step + size // 6, size // 3
    share = float(face.probabilities[k])
    draw.text((x, y), name, _INK, text)
    x += column
    draw.rectangle((x, y + size // 5, x + bar, y + size), fill="#3a3a3a")
    draw.rectangle(
      (x, y + size // 5, x + round(bar * share), y + size), fill=colour(k)
    )
    draw.text((x + bar + size // 3, y), f"{share:.0%}", _INK, text)
  return panel


def _legend(
  width: int, size: int, class_names: Sequence[str], caption: str
) -> PIL.Image.Image:
  """Returns a strip with each class beside its colour, and the caption."""
  text, step = font(size), round(1.5 * size)
  places, x, y = [], size // 2, size // 2
  for k, name in enumerate(class_names):
    needed = round(text.getbbox(name)[2]) + 2 * size
    if x + needed > width and x > size // 2:
      x, y = size // 2, y + step
    places.append((x, y, k, name))
    x += needed
  lines = _wrapped(caption, width - size, size)
  y += step
  strip = PIL.Image.new("RGB", (width, y + step * len(lines)), _PAPER)
  draw = PIL.ImageDraw.Draw(strip)
  for x, row, k, name in places:
    draw.rectangle((x, row + size // 5, x + size, row + size), fill=colour(k))
    draw.text((x + round(1.3 * size), row), name, _INK, text)
  for number, words in enumerate(lines):
    draw.text((size // 2, y + number * step), words, "#c8c8c8", text)
  return strip


def _wrapped(words: str, width: int, size: int) -> list[str]:
  """Returns lines of at most `width` pixels, where single words allow it."""
  lines = [""]
  for word in words.split():
    longer = f"{lines[-1]} {word}".strip()
    if font(size).getbbox(longer)[2] > width and lines[-1]:
      lines.append(word)
    else:
      lines[-1] = longer
  return lines
