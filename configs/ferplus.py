"""FER+ labels on FER2013's faces, 8 classes; two rules to read the votes.

majority (Microsoft's own): 25,060 train, 3,199 validation, 3,153 test faces;
argmax: 28,389, 3,553 and 3,546.

python -m pattlite_jax.main --config configs/ferplus.py \
  --config.data.dir=<folder of fer2013.csv and fer2013new.csv> \
  [--config.data.name=ferplus/argmax]
"""

from configs import default


def get_config():
  config = default.get_config()
  config.workdir = "runs/ferplus"
  config.data.name = "ferplus/majority"
  config.data.dir = "data/fer2013"
  return config
