"""CK+: the last three frames of 327 sequences of 118 people, 7 classes.

Ten folds that never share a person: fold k is tested, fold k + 1 validates.

python -m pattlite_jax.main --config configs/ck_plus.py \
  --config.data.dir=<folder of cohn-kanade-images, Emotion, Landmarks> \
  [--config.data.name=ck_plus/fold3]
"""

from configs import default


def get_config():
  config = default.get_config()
  config.workdir = "runs/ck_plus"
  config.data.name = "ck_plus/fold0"
  config.data.dir = "data/ck_plus"
  return config
