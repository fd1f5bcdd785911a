"""Rows of larger batches, as more chips have them, at rates that grow too."""

from pattlite_jax.report.row import Row

_CONFIG = "configs/fer2013_best.py"
_IMAGES, _RATE, _DECAY = 64, 1e-3, 0.999  # Its batch size, rate and average.
_FIELDS = {
  "model.image_size": 64,
  "model.patch_stride": 1,
  "stage1.epochs": 10,
  "stage1.monitor": "last_epoch",  # No figure chooses the epoch.
}
_ONE = Row("chips_1", f"1 x {_IMAGES} images", _CONFIG, _FIELDS, seeds=(0,))


def _larger(chips: int, rule: str, times: int) -> Row:
  """Returns the row of a batch of `chips` times the recipe's images.

  Its rate is the recipe's times `times`. The average reaches as many images
  back as the recipe's (Busbridge et al. 2023, arXiv 2307.13813).
  """
  return Row(
    name=f"chips_{chips}_{rule.replace(' ', '_')}",
    label=f"{chips} x {_IMAGES} images, {times} times the rate ({rule})",
    config=_CONFIG,
    overrides={
      **_FIELDS,
      "batch_size": chips * _IMAGES,
      "stage1.learning_rate": times * _RATE,
      "stage1.ema_decay": round(_DECAY**chips, 4),
    },
    seeds=(0,),
    compared_with=_ONE.name,
  )


# The rate of plain descent is held to grow with the batch, that of Adam with
# its root (Malladi et al. 2022, arXiv 2205.10287).
BATCHES = (
  _ONE,
  _larger(4, "linear", 4),
  _larger(4, "square root", 2),
  _larger(16, "linear", 16),
  _larger(16, "square root", 4),
)
