"""Drawn faces on a canvas: a photograph of which all is known."""

import numpy as np
import PIL.Image

from pattlite_jax.data.drawing import face
from pattlite_jax.data.drawing.actions import EXPRESSIONS

# Expression and left, top, side of the faces that `photo` shows.
PLACES = (
  ("happiness", 40, 60, 144),
  ("surprise", 260, 30, 120),
  ("neutral", 430, 120, 168),
)
SIZE = (640, 400)  # Width, height.


def photo(places=PLACES, size=SIZE, seed=10):
  """Returns an RGB picture, uint8 [H, W, 3]."""
  canvas = PIL.Image.new("RGB", size, (96, 104, 112))
  for number, (expression, left, top, side) in enumerate(places):
    rng = np.random.default_rng([seed, number])
    drawn = face.draw_face(rng, EXPRESSIONS.index(expression))[..., 0]
    large = PIL.Image.fromarray(drawn).convert("RGB")
    canvas.paste(
      large.resize((side, side), PIL.Image.Resampling.BICUBIC), (left, top)
    )
  return np.asarray(canvas)
