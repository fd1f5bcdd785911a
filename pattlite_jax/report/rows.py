"""The tables: what `launch/table.sh NAME` runs and docs/results.md shows."""

from pattlite_jax.report.row import Row
from pattlite_jax.report.rows_batches import BATCHES
from pattlite_jax.report.rows_best import BEST, INGREDIENTS
from pattlite_jax.report.rows_heads import HEADS
from pattlite_jax.report.rows_methods import METHODS
from pattlite_jax.report.rows_published import (
  ABLATIONS,
  CHALLENGE_SUBSETS,
  LEAK,
  MAIN,
)

TABLES: dict[str, tuple[Row, ...]] = {
  "main": MAIN,
  "challenges": CHALLENGE_SUBSETS,
  "leak": LEAK,
  "best": BEST,
  "ingredients": INGREDIENTS,
  "heads": HEADS,
  "batches": BATCHES,
  "ablations": ABLATIONS,
  "methods": METHODS,
}
