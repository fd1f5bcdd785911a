"""The largest number of images a chip that fit into its memory."""

from collections.abc import Callable

from absl import logging

from pattlite_jax.compile.programs import OutOfMemoryError

_MOST_TRIES = 8  # A compilation may take minutes.


def largest(
  total_bytes: Callable[[int], int], refused: int, needed: int, available: int
) -> int:
  """Returns about the largest number that fits, below `refused`; 0 for none.

  `total_bytes` compiles for a number of images: it returns the bytes a chip or
  raises OutOfMemoryError. `needed` are those of `refused` images. Memory is
  nearly proportional to the images, so a line through what is known gives the
  next try; what is returned has been compiled.
  """
  fits, used = 0, 0
  for _ in range(_MOST_TRIES):
    slope = max((needed - used) / (refused - fits), 1e-9)
    guess = min(fits + int((available - used) / slope), refused - 1)
    if guess <= fits + fits // 50:  # Not worth another compilation.
      break
    logging.info("Trying %d images a chip.", guess)
    try:
      used, fits = total_bytes(guess), guess
    except OutOfMemoryError as error:
      refused, needed = guess, error.num_bytes
  return fits
