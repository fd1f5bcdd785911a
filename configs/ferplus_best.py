"""FER+ for the best accuracy per image: as fer2013_best, trained on the votes.

python -m pattlite_jax.main --config configs/ferplus_best.py \
  --config.data.dir=<folder of fer2013.csv and fer2013new.csv> \
  [--config.data.name=ferplus/majority]
"""

from configs import fer2013_best


def get_config():
  config = fer2013_best.get_config()
  config.workdir = "runs/ferplus_best"
  config.data.name = "ferplus/argmax"
  config.data.soft_targets = True
  config.stage1.label_smoothing = 0.0  # The votes say how sure a label is.
  return config
