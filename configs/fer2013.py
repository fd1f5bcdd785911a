"""FER2013: 28,709 train, 3,589 validation and 3,589 test faces, 7 classes.

python -m pattlite_jax.main --config configs/fer2013.py \
  --config.data.dir=<folder of fer2013.csv>
"""

from configs import default


def get_config():
  config = default.get_config()
  config.workdir = "runs/fer2013"
  config.data.name = "fer2013"
  config.data.dir = "data/fer2013"
  return config
